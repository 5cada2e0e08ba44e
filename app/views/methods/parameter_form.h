// ParameterForm: a method's parameter schema as a form: spin boxes with ranges, check boxes, a combo for
// choices, a file picker, a line of text; the help under each. What differs from the default is bold.
#pragma once

#include <QLabel>
#include <QWidget>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "analysis/method.h"

namespace saccade {

class ParameterForm : public QWidget {
  Q_OBJECT
 public:
  explicit ParameterForm(const MethodInfo& info, QWidget* parent = nullptr);

  [[nodiscard]] nlohmann::json values() const;
  void set_values(const nlohmann::json& values);  // those it knows and that fit; the others stay
  void reset();

 Q_SIGNALS:
  void changed();

 private:
  struct Row {
    ParameterInfo info;
    QLabel* label = nullptr;
    std::function<nlohmann::json()> get;
    std::function<void(const nlohmann::json&)> set;
  };
  QWidget* make_editor(Row& row);
  QWidget* make_number(Row& row);
  QWidget* make_text(Row& row);
  void mark_changed();
  std::vector<Row> rows_;
};

}  // namespace saccade
