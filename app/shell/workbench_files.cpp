// The workbench's files: dumps, sessions, and whatever is dropped on the window.
#include <filesystem>

#include "app/shell/workbench.h"
#include "app/shell/workbench_private.h"

namespace saccade {

void Workbench::write_dump(const QString& path, const QString& sites) {
  const auto run = shown_ == Shown::baseline ? run_a_ : run_b_;
  if (!run) return;
  engine_->submit("dump", "Write " + path.toStdString(),
                  [this, side = d_->side, run, path = path.toStdString(),
                   sites = sites.toStdString()](const JobContext& job) {
                    Result<void> written = dump_run(side.get(), run, *options_.kernels, path, sites, job);
                    if (!written.ok()) Private::post_error(this, written.error());
                    return written;
                  });
}

void Workbench::write_file(const QString& path, std::function<Result<void>(const JobContext&)> write) {
  engine_->submit("export", "Write " + path.toStdString(),
                  [this, write = std::move(write)](const JobContext& job) -> Result<void> {
                    Result<void> written = write(job);
                    if (!written.ok()) Private::post_error(this, written.error());
                    return written;
                  });
}

void Workbench::open_dump(const QString& path) {
  engine_->submit("open", "Read " + path.toStdString(),
                  [this, path = path.toStdString()](const JobContext&) -> Result<void> {
                    auto run = run_from_dump(path);
                    if (!run.ok()) {
                      Private::post_error(this, run.error());
                      return std::move(run).error();
                    }
                    Private::post(this, [this, run = *run] {
                      stop_methods();
                      d_->side.reset();
                      d_->chosen_by_person = false;
                      model_.reset();
                      history_ = {};
                      selection_ = {};
                      text_a_ = text_b_ = {};
                      pictures_.clear();
                      run_pictures_.clear();
                      head_scores_.reset();
                      update_columns();
                      prompt_ = QString::fromStdString(run->capture->provenance.prompt);
                      shown_ = Shown::baseline;
                      run_a_.reset();
                      run_b_.reset();
                      Q_EMIT model_changed();
                      Q_EMIT pictures_changed();
                      Q_EMIT edits_changed();
                      Q_EMIT selection_changed();
                      Q_EMIT generation_changed();
                      adopt_runs({run, run, std::nullopt});
                    });
                    return {};
                  });
}

Session Workbench::session() const {
  Session session;
  if (model_) {
    session.model = model_->where();
    session.model_digest = model_->digest();
  }
  session.prompt = prompt_.toStdString();
  session.ids = d_->ids;
  session.add_bos = add_bos_;
  for (const GivenPicture& given : pictures_) session.images.push_back(given.path.toStdString());
  session.edits = history_.edits();
  session.sampling = sampling_;
  session.contrast = contrast_;
  session.selection = selection_;
  session.view["palette"] = to_string(scale_.palette);
  session.view["sinks"] = to_string(scale_.mode);
  session.view["picture"] = to_json(picture_look_);
  session.view["score"] = score_.toStdString();
  session.analyses = analyses();
  return session;
}

void Workbench::restore(const Session& session) {
  if (const auto palette = parse_palette(session.view.value("palette", std::string())); palette.ok())
    scale_.palette = *palette;
  if (const auto mode = parse_sink_mode(session.view.value("sinks", std::string())); mode.ok())
    scale_.mode = *mode;
  picture_look_ = picture_look_from(session.view.value("picture", nlohmann::json::object()));
  score_ = QString::fromStdString(session.view.value("score", std::string()));
  Q_EMIT scale_changed();
  offer_analyses(session.analyses);
  d_->pending = session;
  open_model(QString::fromStdString(session.model));
}

void Workbench::open_anything(const QString& path) {
  const std::filesystem::path file = path.toStdString();
  const std::string extension = file.extension().string();
  if (extension == ".h5" || extension == ".hdf5") return open_dump(path);
  if (extension == ".json" && file.filename() != "config.json") {
    auto session = load_session(file);
    if (session.ok()) {
      // Pictures are named from where the session was saved, or from beside it.
      for (std::string& image : session->images)
        if (!std::filesystem::exists(image) && std::filesystem::exists(file.parent_path() / image))
          image = (file.parent_path() / image).string();
      return restore(*session);
    }
    Q_EMIT failed(QString::fromStdString(session.error().message),
                  QString::fromStdString(session.error().to_string()));
    return;
  }
  if (is_picture_file(path)) return add_pictures({path});
  const QString where = extension == ".json" ? QString::fromStdString(file.parent_path().string()) : path;
  if (model_) return look_at(where);
  open_model(where);  // there is nothing to lose
}

}  // namespace saccade
