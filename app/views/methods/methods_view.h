// MethodsView: every method, searchable; what it does and whose it is; its parameters as a form; Run and
// Stop. A refusal is shown where the mistake is. Parameters are remembered while the program runs.
#pragma once

#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QScrollArea>
#include <map>

#include "app/views/methods/parameter_form.h"
#include "app/views/view.h"

namespace saccade {

class MethodsView : public View {
  Q_OBJECT
 public:
  explicit MethodsView(Workbench& workbench, QWidget* parent = nullptr);
  // Shows a method, with these parameters when they are given.
  void choose(const QString& id, const nlohmann::json& parameters = {});
  [[nodiscard]] ParameterForm* form() const { return form_; }

 protected:
  void refresh() override;

 private:
  void fill_list();
  void search(const QString& text);
  void show_method(const AnalysisMethod& method);
  void run();
  [[nodiscard]] int running() const;  // the number of the chosen method's running result; 0 = none

  QLineEdit* search_ = nullptr;
  QListWidget* list_ = nullptr;
  QLabel *title_ = nullptr, *problem_ = nullptr;
  QScrollArea* scroll_ = nullptr;
  ParameterForm* form_ = nullptr;
  QPushButton *run_ = nullptr, *stop_ = nullptr, *reset_ = nullptr;
  QString chosen_;
  std::map<QString, nlohmann::json> remembered_;
};

}  // namespace saccade
