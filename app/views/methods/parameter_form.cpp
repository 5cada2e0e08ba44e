#include "app/views/methods/parameter_form.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QSpinBox>
#include <QToolButton>
#include <algorithm>
#include <limits>

namespace saccade {
namespace {

QString text_of(const std::string& text) { return QString::fromStdString(text); }

// Numbers as people write them: 0.1, 1e-05, 300.
class PlainDoubleBox : public QDoubleSpinBox {
 public:
  using QDoubleSpinBox::QDoubleSpinBox;
  [[nodiscard]] QString textFromValue(double value) const override { return QString::number(value, 'g', 8); }
};

bool has_range(const ParameterInfo& info) { return info.minimum < info.maximum; }

}  // namespace

ParameterForm::ParameterForm(const MethodInfo& info, QWidget* parent) : QWidget(parent) {
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setHorizontalSpacing(10);
  grid->setVerticalSpacing(2);
  grid->setColumnStretch(1, 1);
  rows_.reserve(info.parameters.size());
  int at = 0;
  for (const ParameterInfo& parameter : info.parameters) {
    Row& row = rows_.emplace_back();
    row.info = parameter;
    row.label = new QLabel(text_of(parameter.label), this);
    row.label->setWordWrap(true);
    row.label->setToolTip(text_of(parameter.name + ": " + parameter.help));
    QWidget* editor = make_editor(row);
    editor->setObjectName(text_of("parameter-" + parameter.name));
    editor->setAccessibleName(text_of(parameter.label));
    editor->setAccessibleDescription(text_of(parameter.help));
    editor->setToolTip(row.label->toolTip());
    row.label->setBuddy(editor);
    auto* help = new QLabel(text_of(parameter.help), this);
    help->setWordWrap(true);
    help->setEnabled(false);
    QFont small = help->font();
    small.setPointSizeF(small.pointSizeF() * 0.88);
    help->setFont(small);
    help->setContentsMargins(0, 0, 0, 8);
    grid->addWidget(row.label, at, 0);
    grid->addWidget(editor, at, 1);
    grid->addWidget(help, at + 1, 0, 1, 2);
    at += 2;
  }
  reset();
}

QWidget* ParameterForm::make_number(Row& row) {
  const bool ranged = has_range(row.info);
  if (row.info.default_value.is_number_integer()) {
    auto* box = new QSpinBox(this);
    constexpr double most = std::numeric_limits<int>::max();
    box->setRange(static_cast<int>(ranged ? std::max(row.info.minimum, -most) : -most),
                  static_cast<int>(ranged ? std::min(row.info.maximum, most) : most));
    row.get = [box] { return nlohmann::json(static_cast<int64_t>(box->value())); };
    row.set = [box](const nlohmann::json& value) {
      if (value.is_number()) box->setValue(static_cast<int>(value.get<double>()));
    };
    connect(box, &QSpinBox::valueChanged, this, &ParameterForm::mark_changed);
    return box;
  }
  auto* box = new PlainDoubleBox(this);
  box->setDecimals(8);
  box->setRange(ranged ? row.info.minimum : -1e12, ranged ? row.info.maximum : 1e12);
  box->setStepType(QAbstractSpinBox::AdaptiveDecimalStepType);
  row.get = [box] { return nlohmann::json(box->value()); };
  row.set = [box](const nlohmann::json& value) {
    if (value.is_number()) box->setValue(value.get<double>());
  };
  connect(box, &QDoubleSpinBox::valueChanged, this, &ParameterForm::mark_changed);
  return box;
}

QWidget* ParameterForm::make_text(Row& row) {
  if (!row.info.choices.empty()) {
    auto* box = new QComboBox(this);
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    for (const std::string& choice : row.info.choices) box->addItem(text_of(choice));
    row.get = [box] { return nlohmann::json(box->currentText().toStdString()); };
    row.set = [box](const nlohmann::json& value) {
      if (!value.is_string()) return;
      if (const int at = box->findText(text_of(value.get<std::string>())); at >= 0) box->setCurrentIndex(at);
    };
    connect(box, &QComboBox::currentIndexChanged, this, &ParameterForm::mark_changed);
    return box;
  }
  auto* line = new QLineEdit;
  row.get = [line] { return nlohmann::json(line->text().toStdString()); };
  row.set = [line](const nlohmann::json& value) {
    if (value.is_string()) line->setText(text_of(value.get<std::string>()));
  };
  connect(line, &QLineEdit::textChanged, this, &ParameterForm::mark_changed);
  if (!row.info.is_file) {
    line->setParent(this);
    return line;
  }
  auto* both = new QWidget(this);
  both->setFocusProxy(line);
  auto* layout = new QHBoxLayout(both);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(4);
  auto* pick = new QToolButton(both);
  pick->setText(QStringLiteral("…"));
  pick->setAccessibleName(tr("Choose the file for %1").arg(text_of(row.info.label)));
  pick->setToolTip(pick->accessibleName());
  line->setPlaceholderText(tr("no file"));
  layout->addWidget(line, 1);
  layout->addWidget(pick);
  connect(pick, &QToolButton::clicked, this, [this, line, title = text_of(row.info.label)] {
    const QString file = QFileDialog::getOpenFileName(this, title, line->text());
    if (!file.isEmpty()) line->setText(file);
  });
  return both;
}

QWidget* ParameterForm::make_editor(Row& row) {
  if (row.info.default_value.is_string()) return make_text(row);
  if (row.info.default_value.is_number()) return make_number(row);
  auto* box = new QCheckBox(tr("yes"), this);
  row.get = [box] { return nlohmann::json(box->isChecked()); };
  row.set = [box](const nlohmann::json& value) {
    if (value.is_boolean()) box->setChecked(value.get<bool>());
  };
  connect(box, &QCheckBox::toggled, this, &ParameterForm::mark_changed);
  return box;
}

nlohmann::json ParameterForm::values() const {
  nlohmann::json values = nlohmann::json::object();
  for (const Row& row : rows_) values[row.info.name] = row.get();
  return values;
}

void ParameterForm::set_values(const nlohmann::json& values) {
  if (!values.is_object()) return;
  for (const Row& row : rows_)
    if (values.contains(row.info.name)) row.set(values[row.info.name]);
  mark_changed();
}

void ParameterForm::reset() {
  for (const Row& row : rows_) row.set(row.info.default_value);
  mark_changed();
}

void ParameterForm::mark_changed() {
  for (const Row& row : rows_) {
    if (!row.get) continue;
    QFont font = row.label->font();
    font.setBold(row.get() != row.info.default_value);
    row.label->setFont(font);
  }
  Q_EMIT changed();
}

}  // namespace saccade
