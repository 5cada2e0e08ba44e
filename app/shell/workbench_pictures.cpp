// The workbench's pictures: which the request has, and how maps are laid over them.
#include <QFileInfo>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/shell/workbench.h"
#include "app/shell/workbench_private.h"
#include "core/model/image_input.h"

namespace saccade {

bool is_picture_file(const QString& path) {
  static const QStringList endings{"png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "ppm", "pgm"};
  return endings.contains(QFileInfo(path).suffix().toLower());
}

namespace {

nlohmann::json regions_json(const std::vector<LookRegion>& regions) {
  nlohmann::json list = nlohmann::json::array();
  for (const LookRegion& region : regions)
    list.push_back({{"picture", region.picture},
                    {"name", region.name.toStdString()},
                    {"box", {region.left, region.top, region.right, region.bottom}}});
  return list;
}

// Those that make sense.
std::vector<LookRegion> regions_from(const nlohmann::json& document) {
  std::vector<LookRegion> regions;
  const auto list = document.find("regions");
  if (list == document.end() || !list->is_array()) return regions;
  for (const nlohmann::json& item : *list) {
    const auto numbers = [&](const nlohmann::json& box) {
      return box.is_array() && box.size() == 4 &&
             std::all_of(box.begin(), box.end(), [](const nlohmann::json& n) { return n.is_number(); });
    };
    if (!item.is_object() || !item.contains("box") || !numbers(item["box"])) continue;
    const auto picture = item.find("picture"), name = item.find("name");
    if (picture == item.end() || !picture->is_number_integer() || *picture < 0 || *picture > 1000) continue;
    if (name == item.end() || !name->is_string()) continue;
    const nlohmann::json& box = item["box"];
    LookRegion region{picture->get<int>(),  QString::fromStdString(name->get<std::string>()),
                      box[0].get<double>(), box[1].get<double>(),
                      box[2].get<double>(), box[3].get<double>()};
    if (region.left < region.right && region.top < region.bottom) regions.push_back(std::move(region));
  }
  return regions;
}

}  // namespace

nlohmann::json to_json(const PictureLook& look) {
  return {{"palette", to_string(look.palette)},
          {"alpha", look.alpha},
          {"smooth", look.smooth},
          {"fixed", look.fixed},
          {"high", look.high},
          {"layer_mean", look.source == PictureSource::layer_mean},
          {"regions", regions_json(look.regions)}};
}

void forget_picture(PictureLook& look, int picture) {
  std::erase_if(look.regions, [picture](const LookRegion& region) { return region.picture == picture; });
  for (LookRegion& region : look.regions)
    if (region.picture > picture) --region.picture;
}

PictureLook picture_look_from(const nlohmann::json& document) {
  PictureLook look;
  if (!document.is_object()) return look;
  const auto flag = [&](const char* key, bool& value) {
    if (const auto at = document.find(key); at != document.end() && at->is_boolean()) value = at->get<bool>();
  };
  const auto number = [&](const char* key, double low, double high, double& value) {
    if (const auto at = document.find(key); at != document.end() && at->is_number())
      value = std::clamp(at->get<double>(), low, high);
  };
  if (const auto at = document.find("palette"); at != document.end() && at->is_string())
    if (const auto palette = parse_palette(at->get<std::string>()); palette.ok()) look.palette = *palette;
  number("alpha", 0.0, 1.0, look.alpha);
  number("high", 1e-6, 1e6, look.high);
  flag("smooth", look.smooth);
  flag("fixed", look.fixed);
  bool layer_mean = false;
  flag("layer_mean", layer_mean);
  if (layer_mean) look.source = PictureSource::layer_mean;
  look.regions = regions_from(document);
  return look;
}

void Workbench::add_pictures(const QStringList& paths) {
  if (paths.isEmpty()) return;
  if (!model_ || !d_->side) {
    const QString message = tr("Open a model that reads pictures first; then drop the picture again.");
    return Q_EMIT failed(message, message);
  }
  engine_->submit("pictures", "Read " + paths.join(", ").toStdString(),
                  [this, side = d_->side, paths](const JobContext&) -> Result<void> {
                    auto read = read_pictures(*side, paths);
                    if (!read.ok()) {
                      Private::post_error(this, read.error());
                      return std::move(read).error();
                    }
                    Private::post(this, [this, side, read = std::move(*read)] {
                      if (side == d_->side) take_pictures(read);
                    });
                    return {};
                  });
}

void Workbench::add_picture(GivenPicture picture) {
  if (!takes_pictures()) return add_pictures({picture.path});  // which says why not
  take_pictures({std::move(picture)});
}

void Workbench::take_pictures(std::vector<GivenPicture> read) {
  for (GivenPicture& given : read) pictures_.push_back(std::move(given));
  if (reads_only_pictures()) {
    pictures_ = {pictures_.back()};
    picture_look_.regions.clear();  // they were drawn over another
  }
  picture_look_.picture = 0;
  text_a_ = text_b_ = {};
  selection_.query = selection_.key = selection_.word = -1;
  engine_->cancel_key("generate");
  Q_EMIT pictures_changed();
  Q_EMIT selection_changed();
  Q_EMIT generation_changed();
  request_runs();
}

// Without its picture a model of pictures has no run to show.
void Workbench::remove_picture(int index) {
  if (index < 0 || index >= static_cast<int>(pictures_.size())) return;
  pictures_.erase(pictures_.begin() + index);
  forget_picture(picture_look_, index);
  text_a_ = text_b_ = {};
  selection_.query = selection_.key = selection_.word = -1;
  engine_->cancel_key("generate");
  if (lacks_picture()) {
    engine_->cancel_key("run");
    engine_->cancel_key("scores");
    ++d_->generation;
    stale_ = false;
    run_a_.reset();
    run_b_.reset();
    run_pictures_.clear();
    comparison_.reset();
    head_scores_.reset();
    finding_.clear();
    shown_ = Shown::baseline;
    update_columns();
    Q_EMIT scores_changed();
    Q_EMIT finding_changed();
    Q_EMIT runs_changed();
  }
  Q_EMIT pictures_changed();
  Q_EMIT selection_changed();
  Q_EMIT generation_changed();
  request_runs();
}

// After a refusal: a prompt with fewer places than pictures can be given one more.
void Workbench::offer_place() {
  if (!model_ || !d_->ids.empty() || reads_only_pictures()) return;
  const auto token = model_->tokenizer().token(model_->spec().tower.image_token_id);
  if (!takes_pictures() || !token.ok() || token->text.empty()) return;
  const QString placeholder = QString::fromStdString(token->text);  // the whole place may have more around it
  if (prompt_.count(placeholder) < static_cast<qsizetype>(pictures_.size()))
    Q_EMIT place_missing(QString::fromStdString(text_of_place(*model_)));
}

void Workbench::set_picture_look(const PictureLook& look) {
  if (look == picture_look_) return;
  picture_look_ = look;
  Q_EMIT scale_changed();
}

void Workbench::select_word(int word) {
  if (selection_.word == word) return;
  selection_.word = word;
  remember_selection();
  Q_EMIT selection_changed();
}

}  // namespace saccade
