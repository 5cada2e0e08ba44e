// ResultsView: what the methods of this session gave, newest first: the findings as sentences, then a tab for
// every field and table. What is not finished says so.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QScrollArea>
#include <QTabWidget>
#include <QToolButton>

#include "app/views/view.h"

namespace saccade {

class ResultsView : public View {
  Q_OBJECT
 public:
  explicit ResultsView(Workbench& workbench, QWidget* parent = nullptr);
  [[nodiscard]] QTabWidget* pages() const { return pages_; }

 protected:
  void refresh() override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void fill_list();
  void show_state(const KeptResult& kept);
  void fill_pages(const KeptResult& kept);
  void save();
  void fit_findings();  // as high as they are, up to a third of the panel

  QComboBox* list_ = nullptr;
  QToolButton *again_ = nullptr, *stop_ = nullptr, *remove_ = nullptr, *save_ = nullptr;
  QLabel *state_ = nullptr, *findings_ = nullptr, *empty_ = nullptr;
  QScrollArea* sentences_ = nullptr;  // around the findings
  QTabWidget* pages_ = nullptr;
  const AnalysisResult* filled_ = nullptr;  // compared, never looked into
  int filled_number_ = 0;
};

}  // namespace saccade
