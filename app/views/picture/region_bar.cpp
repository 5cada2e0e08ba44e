#include "app/views/picture/region_bar.h"

#include <QHBoxLayout>
#include <QMenu>
#include <algorithm>
#include <cmath>
#include <utility>

#include "analysis/images/regions.h"
#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

PictureRegion region_of(const LookRegion& region) {
  PictureRegion made;
  made.name = region.name.toStdString();
  made.boxes = {{region.left, region.top, region.right, region.bottom}};
  return made;
}

// What stands between names and numbers of image-regions cannot be in a name.
QString clean(QString name) {
  return name.remove(QLatin1Char(':')).remove(QLatin1Char(';')).remove(QLatin1Char(',')).simplified();
}

QString unused_name(const std::vector<LookRegion>& regions) {
  for (int i = 1;; ++i) {
    const QString name = QObject::tr("region %1").arg(i);
    if (std::none_of(regions.begin(), regions.end(), [&](const LookRegion& r) { return r.name == name; }))
      return name;
  }
}

}  // namespace

RegionBar::RegionBar(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setObjectName("region_bar");
  draw_ = button("region_draw", tr("▭ Region"),
                 tr("Drag a rectangle over the picture to make a region; Shift and drag does it, too"));
  draw_->setCheckable(true);
  list_ = new QComboBox(this);
  list_->setObjectName("region_list");
  list_->setAccessibleName(tr("Regions of this picture"));
  list_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  list_->setMinimumContentsLength(8);
  name_ = new QLineEdit(this);
  name_->setObjectName("region_name");
  name_->setAccessibleName(tr("Name of the region"));
  name_->setToolTip(tr("Another name for the region"));
  name_->setMaximumWidth(110);
  share_ = new QLabel(this);
  share_->setObjectName("region_share");
  share_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  heads_ = button("region_heads", tr("Every head"),
                  tr("How much of every head's weight falls into the regions; colours the grid"));
  edit_ = button("region_edit", tr("Edit"), tr("An edit of the patches under the region"));
  edit_->setPopupMode(QToolButton::InstantPopup);
  auto* menu = new QMenu(edit_);
  const auto entry = [&](const QString& text, EditVerb verb, bool all) {
    connect(menu->addAction(text), &QAction::triggered, this, [this, verb, all] { add_edit(verb, all); });
  };
  entry(tr("Knock its patches out of every head"), EditVerb::knockout, true);
  entry(tr("Knock its patches out of the selected heads"), EditVerb::knockout, false);
  entry(tr("Boost its patches in every head"), EditVerb::boost, true);
  entry(tr("Boost its patches in the selected heads"), EditVerb::boost, false);
  edit_->setMenu(menu);
  remove_ = button("region_remove", QStringLiteral("✕"), tr("Remove the region"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(4);
  for (QWidget* widget :
       {static_cast<QWidget*>(draw_), static_cast<QWidget*>(list_), static_cast<QWidget*>(name_)})
    row->addWidget(widget);
  row->addWidget(share_, 1);
  for (QWidget* widget : {heads_, edit_, remove_}) row->addWidget(widget);
  // As high with regions as without: the picture above does not jump with the first.
  setFixedHeight(
      std::max({list_->sizeHint().height(), name_->sizeHint().height(), draw_->sizeHint().height()}));
  connect(draw_, &QToolButton::toggled, this, &RegionBar::drawing_changed);
  connect(list_, &QComboBox::currentIndexChanged, this, [this] {
    if (!filling_) fill();
  });
  connect(name_, &QLineEdit::editingFinished, this, &RegionBar::rename);
  connect(heads_, &QToolButton::clicked, this, &RegionBar::measure_heads);
  connect(remove_, &QToolButton::clicked, this, &RegionBar::remove);
  connect(&workbench_, &Workbench::results_changed, this, &RegionBar::colour_by_result);
}

QToolButton* RegionBar::button(const char* name, const QString& text, const QString& tip) {
  auto* made = new QToolButton(this);
  made->setObjectName(name);
  made->setText(text);
  made->setToolTip(tip);
  made->setAccessibleName(tip);
  return made;
}

int RegionBar::chosen() const { return list_->currentIndex() < 0 ? -1 : list_->currentData().toInt(); }

void RegionBar::refresh(const PictureScene& scene) {
  scene_ = scene;
  const int before = chosen();
  filling_ = true;
  list_->clear();
  const PictureLook& look = workbench_.picture_look();
  for (size_t i = 0; i < look.regions.size(); ++i) {
    if (look.regions[i].picture != look.picture) continue;
    list_->addItem(look.regions[i].name, static_cast<int>(i));
    if (static_cast<int>(i) == before) list_->setCurrentIndex(list_->count() - 1);
  }
  filling_ = false;
  fill();
}

void RegionBar::fill() {
  const int at = chosen();
  for (QWidget* widget :
       {static_cast<QWidget*>(list_), static_cast<QWidget*>(name_), static_cast<QWidget*>(heads_),
        static_cast<QWidget*>(edit_), static_cast<QWidget*>(remove_)})
    widget->setVisible(at >= 0);
  const bool seen = scene_.there && scene_.map.region.grid_width > 0;
  draw_->setEnabled(seen);
  heads_->setEnabled(seen);
  edit_->setEnabled(seen);
  if (at >= 0 && !name_->hasFocus())
    name_->setText(workbench_.picture_look().regions[static_cast<size_t>(at)].name);
  share_->setText(at < 0 ? tr("drag over the picture to ask how much looks there") : share_text());
  share_->setToolTip(share_->text());
}

void RegionBar::add(const QRectF& box) {
  PictureLook look = workbench_.picture_look();
  const ImageGeometry& geometry = scene_.map.region.geometry;
  const QRectF whole(0.0, 0.0, scene_.pixels ? scene_.pixels->width : geometry.original_width,
                     scene_.pixels ? scene_.pixels->height : geometry.original_height);
  const QRectF inside = box.normalized() & whole;
  if (inside.width() < 1.0 || inside.height() < 1.0) return;
  LookRegion region;
  region.picture = look.picture;
  region.name = unused_name(look.regions);
  region.left = std::floor(inside.left());
  region.top = std::floor(inside.top());
  region.right = std::ceil(inside.right());
  region.bottom = std::ceil(inside.bottom());
  look.regions.push_back(region);
  draw_->setChecked(false);
  workbench_.set_picture_look(look);
  refresh(scene_);
  list_->setCurrentIndex(list_->count() - 1);
}

void RegionBar::rename() {
  const int at = chosen();
  const QString name = clean(name_->text());
  PictureLook look = workbench_.picture_look();
  const auto taken = [&](const LookRegion& region) { return region.name == name; };
  if (at < 0 || name.isEmpty() || std::any_of(look.regions.begin(), look.regions.end(), taken)) return fill();
  look.regions[static_cast<size_t>(at)].name = name;
  workbench_.set_picture_look(look);
}

void RegionBar::remove() {
  const int at = chosen();
  if (at < 0) return;
  PictureLook look = workbench_.picture_look();
  look.regions.erase(look.regions.begin() + at);
  workbench_.set_picture_look(look);
}

QString RegionBar::share_text() const {
  const LookRegion& region = workbench_.picture_look().regions[static_cast<size_t>(chosen())];
  if (scene_.map.region.grid_width < 1) return {};
  const auto covered = coverage_of(region_of(region), scene_.map.region);
  if (!covered.ok()) return QString::fromStdString(covered.error().message);
  double area = 0.0, mass = 0.0, all = 0.0;
  for (size_t i = 0; i < covered->size(); ++i) {
    area += (*covered)[i] / static_cast<double>(covered->size());
    if (scene_.map.empty() || !std::isfinite(scene_.map.values[i])) continue;
    mass += (*covered)[i] * scene_.map.values[i];
    all += scene_.map.values[i];
  }
  QString text = tr("%1 % of the picture").arg(100.0 * area, 0, 'f', 1);
  if (scene_.attention && !scene_.difference && all > 0.0)
    text += tr(" · %1 % of this row, %2 × its size")
                .arg(100.0 * mass, 0, 'f', 1)
                .arg(short_number(mass / all / area));
  return text;
}

void RegionBar::measure_heads() {
  const int at = chosen();
  if (at < 0) return;
  const PictureLook& look = workbench_.picture_look();
  QStringList boxes;
  for (const LookRegion& region : look.regions)
    if (region.picture == look.picture)
      boxes << QStringLiteral("%1:%2,%3,%4,%5")
                   .arg(region.name)
                   .arg(region.left)
                   .arg(region.top)
                   .arg(region.right)
                   .arg(region.bottom);
  nlohmann::json parameters = {{"regions", boxes.join(QLatin1Char(';')).toStdString()},
                               {"picture", look.picture + 1}};
  const auto capture = workbench_.shown_capture();
  if (scene_.from.query >= 0 && capture && scene_.from.query < capture->n_token())
    parameters["query"] = std::to_string(scene_.from.query);
  wanted_region_ = look.regions[static_cast<size_t>(at)].name;
  wanted_result_ = workbench_.run_method(QStringLiteral("image-regions"), parameters);
}

// Its number per head, once it is there and whole.
void RegionBar::colour_by_result() {
  const KeptResult* kept = wanted_result_ > 0 ? workbench_.result(wanted_result_) : nullptr;
  if (!kept || kept->running || !kept->result) return;
  const QString column =
      QStringLiteral("%1:%2_mass").arg(std::exchange(wanted_result_, 0)).arg(wanted_region_);
  if (workbench_.head_column(column)) workbench_.set_score(column);
}

std::vector<int64_t> RegionBar::patches_under(const LookRegion& region) const {
  std::vector<int64_t> patches;
  const auto covered = coverage_of(region_of(region), scene_.map.region);
  if (!covered.ok() || covered->empty()) return patches;
  for (size_t i = 0; i < covered->size(); ++i)
    if ((*covered)[i] >= 0.5) patches.push_back(static_cast<int64_t>(i));
  if (patches.empty())  // smaller than half a patch: the one it lies on
    patches.push_back(std::max_element(covered->begin(), covered->end()) - covered->begin());
  return patches;
}

void RegionBar::add_edit(EditVerb verb, bool all_heads) {
  const int at = chosen();
  const auto capture = workbench_.shown_capture();
  if (at < 0 || !capture || scene_.map.region.grid_width < 1) return;
  const ImageRegion& image = scene_.map.region;
  std::vector<PositionRange> keys;
  for (const int64_t patch : patches_under(workbench_.picture_look().regions[static_cast<size_t>(at)]))
    keys.push_back({image.first_patch() + patch, image.first_patch() + patch + 1});
  if (keys.empty()) return;
  std::vector<Edit> edits = workbench_.edits().edits();
  const auto of = [&](HeadTarget target) {
    Edit edit;
    edit.verb = verb;
    edit.target = std::move(target);
    edit.key = PositionSet(keys);
    if (verb == EditVerb::boost) edit.by = 0.7;
    // What reads the picture: the text behind it. A model of pictures has none.
    if (!capture->spec.is_picture_model()) edit.query = PositionRange{image.end(), PositionRange::open_end};
    edits.push_back(std::move(edit));
  };
  if (all_heads)
    of(HeadTarget{});
  else
    for (const HeadId head : heads_shown(workbench_)) of(target_of(head));
  workbench_.set_edits(std::move(edits));
}

}  // namespace saccade
