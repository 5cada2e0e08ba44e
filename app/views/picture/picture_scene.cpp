#include "app/views/picture/picture_scene.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/field_slice.h"
#include "analysis/images/patch_field.h"

namespace saccade {
namespace {

QString text_of(const std::string& text) { return QString::fromStdString(text); }

QString name_of_position(const Capture& capture, int64_t position) {
  for (const ImageRegion& region : capture.images) {
    if (position < region.begin || position >= region.end()) continue;
    const QString label = text_of(capture.tokens[static_cast<size_t>(position)].text);
    return region.patch_at(position) ? QObject::tr("patch %1").arg(label) : label;
  }
  return QObject::tr("token %1 “%2”")
      .arg(position)
      .arg(text_of(display_text(capture.tokens[static_cast<size_t>(position)], true, 18)));
}

bool has_cls(const Capture& capture, const ImageRegion& region) {
  return region.n_prefix > 0 && capture.tokens[static_cast<size_t>(region.begin)].text == "CLS";
}

// Where nobody has chosen: CLS, or what the next word is read from, or the patch in the middle.
int64_t usual_query(const Capture& capture, const ImageRegion& region) {
  if (capture.spec.is_picture_model())
    return has_cls(capture, region)
               ? region.begin
               : region.position(int64_t{region.grid_height / 2} * region.grid_width + region.grid_width / 2);
  return capture.n_token() - 1;
}

QString name_of_heads(const std::vector<HeadId>& heads, const PictureLook& look) {
  if (heads.empty()) return {};
  if (look.source == PictureSource::layer_mean)
    return QObject::tr("Mean of layer %1's %n heads", nullptr, static_cast<int>(heads.size()))
        .arg(heads.front().layer.value);
  if (heads.size() == 1) return QObject::tr("Head %1").arg(text_of(to_string(heads.front())));
  QStringList names;
  for (size_t i = 0; i < std::min<size_t>(heads.size(), 4); ++i) names << text_of(to_string(heads[i]));
  if (heads.size() > 4) names << QStringLiteral("…");
  return QObject::tr("Mean of %1 heads (%2)").arg(heads.size()).arg(names.join(QStringLiteral(", ")));
}

void add_attention(const Workbench& workbench, AttentionRows& rows, int64_t pointer, PictureScene& scene) {
  const std::vector<HeadId> heads = heads_shown(workbench);
  const ImageRegion& region = scene.map.region;
  scene.attention = true;
  scene.quantity = QObject::tr("attention weight");
  scene.from = looked_from(workbench, region, pointer);
  if (heads.empty() || !scene.from.capture) {
    scene.note = QObject::tr("Select a head in the grid: its attention is drawn over the picture.");
    return;
  }
  const int64_t query = scene.from.query;
  scene.title =
      QObject::tr("%1, from %2").arg(name_of_heads(heads, workbench.picture_look()), scene.from.name);
  scene.query_patch = region.patch_at(query).value_or(scene.query_patch);
  if (scene.from.capture->spec.looks_back() && query < region.first_patch()) {
    scene.note = QObject::tr("%1 stands before the picture and cannot see it: select a later token.")
                     .arg(scene.from.name);
    return;
  }
  if (cannot_be_compared(workbench, scene.from)) {
    scene.note = QObject::tr(
        "A's answer had other words before this one: B − A compares equal beginnings only. Show A "
        "or B to see where it looked.");
    return;
  }
  scene.map.values = patches_of(rows, scene.from, heads, region);
  if (scene.map.empty()) {
    scene.note = QObject::tr("This run kept no queries and keys: there are no maps to draw.");
    return;
  }
  scene.difference = scene.from.other != nullptr;
  scene.elsewhere = scene.difference ? 0.0 : std::max(0.0, 1.0 - scene.map.sum());
  if (scene.difference) {
    scene.title += QObject::tr(", B − A");
    scene.quantity = QObject::tr("change of weight");
  }
}

// The selected head's slice where the field has heads.
std::vector<int64_t> held_of(const Field& field, const Workbench& workbench) {
  std::vector<int64_t> held = workbench.picture_look().held;
  held.resize(held_axes(field), 0);
  for (size_t i = 0; i < held.size(); ++i) {
    if (field.axes[i].kind == AxisKind::layer) held[i] = workbench.selection().head.layer.value;
    if (field.axes[i].kind == AxisKind::head) held[i] = workbench.selection().head.head.value;
  }
  return held;
}

void add_field(const Workbench& workbench, PictureScene& scene, ValueKind& kind) {
  const PictureLook& look = workbench.picture_look();
  const KeptResult* kept = workbench.result(look.result);
  const Field* field = kept && kept->result ? kept->result->field(look.field.toStdString()) : nullptr;
  if (!field || !is_patch_field(*field)) {
    scene.note = QObject::tr("That result is gone: choose what to show above.");
    return;
  }
  const FieldSlice slice = slice_of(*field, held_of(*field, workbench));
  const ImageRegion& region = scene.map.region;
  scene.title = text_of(field->label.empty() ? field->name : field->label);
  if (!slice.where.empty()) scene.title += QStringLiteral(", ") + text_of(slice.where);
  scene.title += QObject::tr(" · %1 #%2").arg(text_of(kept->method)).arg(kept->number);
  if (slice.rows != region.grid_height || slice.columns != region.grid_width) {
    scene.note = QObject::tr(
                     "This result has %1 × %2 patches, the picture %3 × %4: it is of another picture. "
                     "Run the method again.")
                     .arg(slice.rows)
                     .arg(slice.columns)
                     .arg(region.grid_height)
                     .arg(region.grid_width);
    return;
  }
  scene.map.values = slice.values;
  scene.quantity = text_of(field->label.empty() ? field->name : field->label);
  if (!field->unit.empty()) scene.quantity += QStringLiteral(", ") + text_of(field->unit);
  kind = field->kind;
}

}  // namespace

std::vector<OverlayField> overlay_fields(const Workbench& workbench) {
  std::vector<OverlayField> fields;
  for (const KeptResult& kept : workbench.results()) {
    if (!kept.result) continue;
    for (const Field& field : kept.result->fields)
      if (is_patch_field(field))
        fields.push_back(
            {kept.number, text_of(field.name),
             QObject::tr("%1 · %2 #%3")
                 .arg(text_of(field.label.empty() ? field.name : field.label), text_of(kept.method))
                 .arg(kept.number)});
  }
  return fields;
}

const std::vector<ImageRegion>& regions_shown(const Workbench& workbench) {
  static const std::vector<ImageRegion> none;
  const auto capture = workbench.shown_capture();
  return capture ? capture->images : none;
}

std::vector<HeadId> heads_shown(const Workbench& workbench) {
  const auto capture = workbench.shown_capture();
  const Selection& selection = workbench.selection();
  if (!capture || selection.head.layer.value >= capture->spec.n_layer ||
      selection.head.head.value >= capture->spec.n_head)
    return {};
  std::vector<HeadId> heads;
  if (workbench.picture_look().source == PictureSource::layer_mean) {
    for (int32_t h = 0; h < capture->spec.n_head; ++h) heads.push_back({selection.head.layer, HeadIndex{h}});
    return heads;
  }
  for (const HeadId head : selection.heads)
    if (head.layer.value < capture->spec.n_layer && head.head.value < capture->spec.n_head)
      heads.push_back(head);
  if (heads.empty()) heads.push_back(selection.head);
  return heads;
}

bool cannot_be_compared(const Workbench& workbench, const LookedFrom& from) {
  return workbench.shown() == Shown::difference && workbench.edited() && !from.other;
}

LookedFrom looked_from_word(const Workbench& workbench, int word) {
  const GeneratedText& text = workbench.text_shown();
  if (word < 0 || !text.run || word >= static_cast<int>(text.tokens.size())) return {};
  LookedFrom from{text.run->capture, nullptr, text.first_row + word,
                  QObject::tr("the word “%1”")
                      .arg(text_of(display_text(text.tokens[static_cast<size_t>(word)], true, 18)))};
  // Other words stand at the same places of two texts: only equal beginnings can be compared.
  const GeneratedText& a = workbench.text_a();
  const auto before = [&](const GeneratedText& one) {
    std::vector<int32_t> ids;
    for (int i = 0; i < word && i < static_cast<int>(one.tokens.size()); ++i)
      ids.push_back(one.tokens[static_cast<size_t>(i)].id);
    return ids;
  };
  if (workbench.shown() == Shown::difference && a.run && from.query < a.run->capture->n_token() &&
      before(a) == before(text))
    from.other = a.run->capture;
  return from;
}

LookedFrom looked_from(const Workbench& workbench, const ImageRegion& region, int64_t pointer) {
  const PictureLook& look = workbench.picture_look();
  const Selection& selection = workbench.selection();
  LookedFrom from{workbench.shown_capture(), nullptr, -1, {}};
  if (!from.capture) return {};
  if (workbench.shown() == Shown::difference && workbench.edited()) from.other = workbench.run_a()->capture;
  if (look.from == LookFrom::pointer && pointer >= 0)
    from.query = region.position(pointer);
  else if (look.from == LookFrom::cls && has_cls(*from.capture, region))
    from.query = region.begin;
  else if (LookedFrom word = looked_from_word(workbench, selection.word); word.capture)
    return word;
  else if (selection.query >= 0 && selection.query < from.capture->n_token())
    from.query = selection.query;
  else
    from.query = usual_query(*from.capture, region);
  from.name = name_of_position(*from.capture, from.query);
  return from;
}

std::vector<float> patches_of(AttentionRows& rows, const LookedFrom& from, std::span<const HeadId> heads,
                              const ImageRegion& region) {
  const auto row = rows.mean(from.capture, heads, from.query);
  if (!row || region.end() > static_cast<int64_t>(row->size())) return {};
  std::vector<float> values = over_patches(region, *row);
  if (!from.other) return values;
  const auto before = rows.mean(from.other, heads, from.query);
  if (!before || region.end() > static_cast<int64_t>(before->size())) return {};
  const std::vector<float> of_a = over_patches(region, *before);
  for (size_t i = 0; i < values.size(); ++i) values[i] -= of_a[i];
  return values;
}

ColourScale overlay_scale(const PictureLook& look, bool difference, double largest) {
  ColourScale scale;
  scale.palette = difference ? Palette::red_blue : look.palette;
  scale.high = look.fixed ? look.high : largest;
  if (!(scale.high > 0.0)) scale.high = 1.0;
  scale.low = difference ? -scale.high : 0.0;
  return scale;
}

PictureScene picture_scene(const Workbench& workbench, AttentionRows& rows, int64_t pointer) {
  PictureScene scene;
  const PictureLook& look = workbench.picture_look();
  const std::vector<ImageRegion>& regions = regions_shown(workbench);
  const auto index = static_cast<size_t>(std::max(look.picture, 0));
  if (regions.empty()) {  // a picture that has not been through the model
    if (workbench.pictures().empty()) return scene;
    const GivenPicture& given = workbench.pictures()[std::min(index, workbench.pictures().size() - 1)];
    scene.there = true;
    scene.pixels = given.pixels;
    scene.map.region.geometry.original_width = given.pixels->width;
    scene.map.region.geometry.original_height = given.pixels->height;
    scene.note = QObject::tr("The model has not seen this picture: the prompt needs a place for it.");
    return scene;
  }
  const size_t at = std::min(index, regions.size() - 1);
  scene.there = true;
  scene.map.region = regions[at];
  if (const auto given = static_cast<size_t>(regions[at].picture); given < workbench.run_pictures().size())
    scene.pixels = workbench.run_pictures()[given].pixels;
  ValueKind kind = ValueKind::probability;
  if (look.source == PictureSource::field)
    add_field(workbench, scene, kind);
  else
    add_attention(workbench, rows, pointer, scene);
  const bool symmetric = scene.difference || kind == ValueKind::signed_difference;
  scene.scale = overlay_scale(look, symmetric, symmetric ? scene.map.furthest() : scene.map.largest());
  return scene;
}

}  // namespace saccade
