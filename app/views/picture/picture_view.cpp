#include "app/views/picture/picture_view.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "analysis/export/picture_figure.h"
#include "analysis/images/patch_field.h"
#include "app/views/head_map/map_overlay.h"
#include "app/views/results/result_origin.h"
#include "core/model/image_input.h"

namespace saccade {
namespace {

QString number(double value) { return short_number(value).replace(QLatin1Char('-'), QStringLiteral("−")); }

}  // namespace

PictureView::PictureView(Workbench& workbench, QWidget* parent)
    : View(workbench, parent), rows_(workbench.kernels()) {
  canvas_ = new PictureCanvas(this);
  words_ = new WordStripArea(workbench, rows_, this);
  scanpaths_ = new ScanpathBar(workbench, rows_, this);
  regions_ = new RegionBar(workbench, this);
  title_ = new QLabel(this);
  title_->setObjectName("picture_title");
  title_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  hover_ = new QLabel(this);
  hover_->setObjectName("picture_hover");
  hover_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  auto* page = new QWidget(this);
  auto* layout = new QVBoxLayout(page);
  layout->setContentsMargins(6, 6, 6, 4);
  layout->setSpacing(4);
  layout->addWidget(build_choices());
  layout->addWidget(build_look());
  layout->addWidget(title_);
  layout->addWidget(canvas_, 1);
  layout->addWidget(hover_);
  layout->addWidget(regions_);
  layout->addWidget(words_);
  layout->addWidget(scanpaths_);
  empty_ = new QLabel(this);
  empty_->setObjectName("picture_empty");
  empty_->setAlignment(Qt::AlignCenter);
  empty_->setWordWrap(true);
  auto* open = new QPushButton(tr("Open a picture…"), this);
  open->setObjectName("picture_open");
  connect(open, &QPushButton::clicked, this, &PictureView::open_asked);
  auto* nothing = new QWidget(this);
  auto* centred = new QVBoxLayout(nothing);
  centred->setContentsMargins(40, 40, 40, 40);
  centred->addStretch(1);
  centred->addWidget(empty_);
  centred->addWidget(open, 0, Qt::AlignHCenter);
  centred->addStretch(1);
  stack_ = new QStackedWidget(this);
  stack_->addWidget(page);
  stack_->addWidget(nothing);
  auto* whole = new QVBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->addWidget(stack_);
  connect(canvas_, &PictureCanvas::patch_hovered, this, [this](qint64 patch) {
    if (this->workbench().picture_look().from == LookFrom::pointer) draw();
    show_hover(patch);
  });
  connect(canvas_, &PictureCanvas::patch_clicked, this, &PictureView::click);
  connect(canvas_, &PictureCanvas::stepped, this, &PictureView::step);
  connect(scanpaths_, &ScanpathBar::moved, this, [this] {
    canvas_->show_paths(scanpaths_->player().paths(), scanpaths_->player().time(), scanpaths_->beside());
  });
  connect(regions_, &RegionBar::drawing_changed, canvas_, &PictureCanvas::set_drawing);
  connect(canvas_, &PictureCanvas::region_drawn, regions_, &RegionBar::add);
  for (const auto signal :
       {&Workbench::runs_changed, &Workbench::selection_changed, &Workbench::scale_changed,
        &Workbench::pictures_changed, &Workbench::generation_changed, &Workbench::results_changed,
        &Workbench::model_changed})
    connect(&workbench, signal, this, [this] { touch(); });
}

bool PictureView::concerns(const Workbench& workbench) {
  return workbench.takes_pictures() || !workbench.pictures().empty() || !regions_shown(workbench).empty();
}

QWidget* PictureView::build_choices() {
  auto* bar = new QWidget(this);
  auto* row = new QHBoxLayout(bar);
  row->setContentsMargins(0, 0, 0, 0);
  const auto combo = [&](const char* name, const QString& says) {
    auto* box = new QComboBox(bar);
    box->setObjectName(name);
    box->setAccessibleName(says);
    box->setToolTip(says);
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    return box;
  };
  source_ = combo("picture_source", tr("What is drawn over the picture"));
  source_->setMinimumContentsLength(16);
  from_ = combo("picture_from", tr("From where: whose attention is drawn"));
  from_->setMinimumContentsLength(17);
  from_->addItem(tr("from the selection"), static_cast<int>(LookFrom::selection));
  from_->addItem(tr("from CLS"), static_cast<int>(LookFrom::cls));
  from_->addItem(tr("from the pointer's patch"), static_cast<int>(LookFrom::pointer));
  picture_ = combo("picture_index", tr("Which picture of the request"));
  held_ = new QWidget(bar);
  auto* held = new QHBoxLayout(held_);
  held->setContentsMargins(0, 0, 0, 0);
  auto* save = new QToolButton(bar);
  save->setObjectName("picture_export");
  save->setText(tr("Figure…"));
  save->setToolTip(tr("Save the picture, the map over it, the scale and a caption (SVG, PDF, PNG)"));
  row->addWidget(source_, 2);
  row->addWidget(held_);
  row->addWidget(from_, 1);
  row->addWidget(picture_, 1);
  row->addWidget(save);
  connect(source_, &QComboBox::activated, this, &PictureView::choose_source);
  connect(from_, &QComboBox::activated, this, &PictureView::change_look);
  connect(picture_, &QComboBox::activated, this, &PictureView::change_look);
  connect(save, &QToolButton::clicked, this, &PictureView::ask_export);
  return bar;
}

QWidget* PictureView::build_look() {
  auto* bar = new QWidget(this);
  auto* row = new QHBoxLayout(bar);
  row->setContentsMargins(0, 0, 0, 0);
  palette_ = new QComboBox(bar);
  palette_->setObjectName("picture_palette");
  palette_->setAccessibleName(tr("Colours of the map over the picture"));
  for (const Palette palette : palettes())
    if (palette != Palette::red_blue) palette_->addItem(to_string(palette), static_cast<int>(palette));
  alpha_ = new QSlider(Qt::Horizontal, bar);
  alpha_->setObjectName("picture_alpha");
  alpha_->setRange(0, 100);
  alpha_->setMinimumWidth(60);
  alpha_->setMaximumWidth(160);
  alpha_->setAccessibleName(tr("How opaque the map is"));
  alpha_->setToolTip(tr("How opaque the map over the picture is"));
  smooth_ = new QCheckBox(tr("smooth"), bar);
  smooth_->setObjectName("picture_smooth");
  smooth_->setToolTip(tr("Bilinear between the patches' middles; off: exactly the patches"));
  range_ = new QComboBox(bar);
  range_->setObjectName("picture_range");
  range_->setAccessibleName(tr("Scale of the colours"));
  range_->addItem(tr("scale: each map's largest"));
  range_->addItem(tr("scale: fixed, up to"));
  high_ = new QDoubleSpinBox(bar);
  high_->setObjectName("picture_high");
  high_->setAccessibleName(tr("The value of the highest colour"));
  high_->setDecimals(4);
  high_->setRange(0.0001, 1e6);
  high_->setSingleStep(0.01);
  row->addWidget(palette_);
  row->addWidget(new QLabel(tr("opacity"), bar));
  row->addWidget(alpha_, 1);
  row->addWidget(smooth_);
  row->addStretch(1);
  row->addWidget(range_);
  row->addWidget(high_);
  connect(palette_, &QComboBox::activated, this, &PictureView::change_look);
  connect(alpha_, &QSlider::valueChanged, this, &PictureView::change_look);
  connect(smooth_, &QCheckBox::toggled, this, &PictureView::change_look);
  connect(range_, &QComboBox::activated, this, [this] {
    // What was seen last stays what the scale is, until somebody turns the number.
    if (range_->currentIndex() == 1) high_->setValue(std::max(canvas_->scene().scale.high, 0.0001));
    change_look();
  });
  connect(high_, &QDoubleSpinBox::valueChanged, this, &PictureView::change_look);
  return bar;
}

void PictureView::change_look() {
  if (filling_) return;
  PictureLook look = workbench().picture_look();
  look.from = static_cast<LookFrom>(from_->currentData().toInt());
  look.picture = std::max(0, picture_->currentIndex());
  look.palette = static_cast<Palette>(palette_->currentData().toInt());
  look.alpha = alpha_->value() / 100.0;
  look.smooth = smooth_->isChecked();
  look.fixed = range_->currentIndex() == 1;
  if (look.fixed) look.high = high_->value();
  workbench().set_picture_look(look);
}

void PictureView::choose_source(int index) {
  if (filling_) return;
  PictureLook look = workbench().picture_look();
  const QStringList chosen = source_->itemData(index).toStringList();
  if (chosen.size() == 2) {
    look.source = PictureSource::field;
    look.result = chosen[0].toInt();
    look.field = chosen[1];
    look.held.clear();
  } else {
    look.source = index == 1 ? PictureSource::layer_mean : PictureSource::head;
  }
  workbench().set_picture_look(look);
}

void PictureView::fill_choices() {
  filling_ = true;
  const PictureLook& look = workbench().picture_look();
  source_->clear();
  source_->addItem(tr("Selected head(s)"));
  source_->addItem(tr("Mean of the head's layer"));
  source_->setCurrentIndex(look.source == PictureSource::layer_mean ? 1 : 0);
  for (const OverlayField& field : overlay_fields(workbench())) {
    source_->addItem(field.label, QStringList{QString::number(field.result), field.name});
    if (look.source == PictureSource::field && look.result == field.result && look.field == field.name)
      source_->setCurrentIndex(source_->count() - 1);
  }
  from_->setCurrentIndex(from_->findData(static_cast<int>(look.from)));
  from_->setVisible(look.source != PictureSource::field);
  const auto& regions = regions_shown(workbench());
  picture_->clear();
  for (size_t i = 0; i < regions.size(); ++i)
    picture_->addItem(tr("%1: %2").arg(i + 1).arg(QString::fromStdString(regions[i].name)));
  picture_->setCurrentIndex(std::min<int>(look.picture, static_cast<int>(regions.size()) - 1));
  picture_->setVisible(regions.size() > 1);
  palette_->setCurrentIndex(palette_->findData(static_cast<int>(look.palette)));
  alpha_->setValue(static_cast<int>(std::lround(100.0 * look.alpha)));
  smooth_->setChecked(look.smooth);
  range_->setCurrentIndex(look.fixed ? 1 : 0);
  high_->setVisible(look.fixed);
  if (look.fixed) high_->setValue(look.high);
  fill_held();
  filling_ = false;
}

// An index for every axis of a field before its patches that no selection decides.
void PictureView::fill_held() {
  const PictureLook& look = workbench().picture_look();
  const KeptResult* kept = workbench().result(look.result);
  const Field* field = look.source == PictureSource::field && kept && kept->result
                           ? kept->result->field(look.field.toStdString())
                           : nullptr;
  const QString key = field ? QStringLiteral("%1:%2").arg(look.result).arg(look.field) : QString();
  if (key == held_of_) return;
  held_of_ = key;
  qDeleteAll(held_->findChildren<QWidget*>(Qt::FindDirectChildrenOnly));
  if (!field || !is_patch_field(*field)) return;
  for (size_t i = 0; i < held_axes(*field); ++i) {
    if (field->axes[i].kind == AxisKind::layer || field->axes[i].kind == AxisKind::head) continue;
    auto* index = new QSpinBox(held_);
    index->setPrefix(QString::fromStdString(name_of(field->axes[i])) + QStringLiteral(" "));
    index->setRange(0, static_cast<int>(std::max<int64_t>(field->values.shape()[i] - 1, 0)));
    index->setValue(i < look.held.size() ? static_cast<int>(look.held[i]) : 0);
    held_->layout()->addWidget(index);
    connect(index, &QSpinBox::valueChanged, this, [this, i](int value) {
      PictureLook changed = workbench().picture_look();
      if (changed.held.size() <= i) changed.held.resize(i + 1, 0);
      changed.held[i] = value;
      workbench().set_picture_look(changed);
    });
  }
}

QString PictureView::empty_text() const {
  if (workbench().reads_only_pictures())
    return tr("<b>%1 reads a picture.</b><br>Drop one on the window, paste one, or open one: where its heads "
              "look will "
              "be drawn over it.")
        .arg(QString::fromStdString(workbench().model()->name()).toHtmlEscaped());
  if (workbench().takes_pictures()) {
    const std::string place = text_of_place(*workbench().model());
    return tr("<b>%1 reads text and pictures.</b><br>Write “%2” in the prompt where a picture stands, and "
              "drop one on "
              "the window, paste one, or open one.")
        .arg(QString::fromStdString(workbench().model()->name()).toHtmlEscaped(),
             QString::fromStdString(place.empty() ? "<image>" : place).toHtmlEscaped());
  }
  return tr(
      "Here will be the picture with each head's attention over it.<br>Open a model that reads pictures, "
      "then "
      "drop a picture on the window.");
}

void PictureView::draw() {
  const PictureScene scene = picture_scene(workbench(), rows_, canvas_->hovered());
  title_->setText(scene.title);
  title_->setToolTip(scene.title);
  canvas_->show_scene(scene, workbench().picture_look());
}

void PictureView::refresh() {
  fill_choices();
  draw();
  const PictureScene& scene = canvas_->scene();
  stack_->setCurrentIndex(scene.there ? 0 : 1);
  if (!scene.there) empty_->setText(empty_text());
  regions_->refresh(scene);
  words_->refresh(scene);
  scanpaths_->refresh(scene);
  show_hover(canvas_->hovered());
}

// The patch becomes the query: what does it look at? Once more and nobody has chosen.
void PictureView::click(int64_t patch) {
  const PictureScene& scene = canvas_->scene();
  if (!scene.from.capture) return;
  const int64_t position = scene.map.region.position(patch);
  const Selection& now = workbench().selection();
  PictureLook look = workbench().picture_look();
  if (look.from == LookFrom::cls) {
    look.from = LookFrom::selection;
    workbench().set_picture_look(look);
  }
  workbench().select_tokens(now.query == position && now.word < 0 ? -1 : static_cast<int>(position), now.key);
}

void PictureView::step(int dx, int dy) {
  const ImageRegion& region = canvas_->scene().map.region;
  if (region.grid_width < 1) return;
  const int64_t at = std::max<int64_t>(canvas_->scene().query_patch, 0);
  const int64_t row = std::clamp<int64_t>(at / region.grid_width + dy, 0, region.grid_height - 1),
                column = std::clamp<int64_t>(at % region.grid_width + dx, 0, region.grid_width - 1);
  const int64_t position = region.position(row * region.grid_width + column);
  workbench().select_tokens(static_cast<int>(position), workbench().selection().key);
}

QString PictureView::describe(int64_t patch) const {
  const PictureScene& scene = canvas_->scene();
  if (patch < 0 || scene.map.empty() || patch >= static_cast<int64_t>(scene.map.values.size())) return {};
  const float value = scene.map.values[static_cast<size_t>(patch)];
  QString text = tr("row %1, column %2 · %3 %4")
                     .arg(patch / scene.map.region.grid_width)
                     .arg(patch % scene.map.region.grid_width)
                     .arg(scene.attention && !scene.difference ? tr("weight") : scene.quantity)
                     .arg(std::isfinite(value) ? QString::number(value, 'g', 6) : tr("none"));
  const double sum = scene.map.sum();
  if (scene.attention && !scene.difference && sum > 0.0)
    text += tr(" · %1 % of the mass on the picture").arg(number(100.0 * value / sum));
  return text;
}

void PictureView::show_hover(int64_t patch) {
  const PictureScene& scene = canvas_->scene();
  QString text = describe(patch);
  if (text.isEmpty() && !scene.map.empty())
    text = scene.attention && !scene.difference
               ? tr("%1 % of this row is on the picture, %2 % elsewhere · hover a patch; click makes it the "
                    "query")
                     .arg(100.0 * scene.map.sum(), 0, 'f', 1)
                     .arg(100.0 * scene.elsewhere, 0, 'f', 1)
               : tr("hover a patch for its number; wheel zooms, drag pans, double-click fits");
  hover_->setText(text);
  hover_->setToolTip(text);
}

void PictureView::ask_export() {
  const QString file = QFileDialog::getSaveFileName(this, tr("Save the picture with its map"), "picture.pdf",
                                                    tr("Figure (*.pdf *.svg *.png)"));
  if (!file.isEmpty()) export_figure(file);
}

void PictureView::export_figure(const QString& file) {
  const PictureScene scene = picture_scene(workbench(), rows_, -1);
  if (!scene.there) return;
  const PictureLook look = workbench().picture_look();
  PictureFigure figure;
  figure.picture = scene.pixels;
  figure.map = scene.map;
  figure.title = scene.title.toStdString();
  figure.quantity = scene.quantity.toStdString();
  figure.alpha = look.alpha;
  figure.smooth = look.smooth;
  figure.query_patch = scene.query_patch;
  figure.attention = scene.attention && !scene.difference;
  for (const TimedPath& path : scanpaths_->player().paths()) figure.paths.push_back({path.path, path.label});
  if (scene.from.capture) {
    figure.run = scene.from.capture->provenance;
  } else if (const KeptResult* kept = workbench().result(look.result);
             kept && look.source == PictureSource::field) {
    figure.run = kept->run;
  } else if (const auto capture = workbench().shown_capture()) {
    figure.run = capture->provenance;
  }
  FigureOptions options;
  options.scale = scene.scale;
  workbench().write_file(
      file, [figure, options, path = std::filesystem::path(file.toStdString())](const JobContext&) {
        return write_picture_figure(figure, options, path);
      });
}

}  // namespace saccade
