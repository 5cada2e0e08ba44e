#include "app/shell/workbench.h"

#include <QMetaObject>
#include <algorithm>
#include <chrono>
#include <filesystem>

#include "app/shell/finding.h"
#include "app/shell/workbench_work.h"

namespace saccade {

struct Workbench::Private {
  std::shared_ptr<EngineSide> side;  // touched by engine jobs only; the handle is passed to them
  uint64_t generation = 0;           // of the newest request for runs; results of older ones are dropped
  std::vector<int32_t> ids;          // instead of the prompt, from a session
  std::optional<Session> pending;    // what to apply once its model is open
  std::vector<Selection> visited;    // back and forward
  size_t visited_at = 0;
  bool chosen_by_person = false;  // whether a head was selected by hand since the model was opened

  // Runs a closure on the GUI thread, if the workbench still lives then.
  static void post(Workbench* workbench, std::function<void()> work) {
    QMetaObject::invokeMethod(workbench, std::move(work), Qt::QueuedConnection);
  }
  static void post_error(Workbench* workbench, const Error& error) {
    if (error.code == ErrorCode::cancelled) return;
    const QString message = QString::fromStdString(error.message);
    const QString details = QString::fromStdString(error.to_string());
    post(workbench, [workbench, message, details] { Q_EMIT workbench->failed(message, details); });
  }
};

Workbench::Workbench(const WorkbenchOptions& options, QObject* parent)
    : QObject(parent), d_(std::make_unique<Private>()), options_(options) {
  if (!options_.catalogue) options_.catalogue = std::make_shared<const MethodCatalogue>();
  engine_ = std::make_unique<Engine>([this] { Private::post(this, [this] { Q_EMIT jobs_changed(); }); });
}

Workbench::~Workbench() { engine_.reset(); }

std::shared_ptr<const Capture> Workbench::shown_capture() const {
  const auto& run = shown_ == Shown::baseline ? run_a_ : run_b_;
  return run ? run->capture : nullptr;
}

// The two ways to meet a checkpoint share what happens when it is refused.
void Workbench::post_refusal(const std::string& where, const Error& error) {
  Private::post_error(this, error);
  const auto other = other_way_to_open(where);
  if (other) Private::post(this, [this, other] { Q_EMIT other_way_found(QString::fromStdString(*other)); });
}

void Workbench::look_at(const QString& where) {
  const std::string path = where.toStdString();
  engine_->submit("open", "Look at " + path,
                  [this, path, prompt = prompt_.toStdString()](const JobContext& job) -> Result<void> {
                    auto found = look_at_model(path, prompt, job);
                    if (!found.ok()) {
                      if (found.error().code != ErrorCode::cancelled) post_refusal(path, found.error());
                      return std::move(found).error();
                    }
                    Private::post(this, [this, found = *found] {
                      found_ = found;
                      Q_EMIT model_found();
                    });
                    return {};
                  });
}

void Workbench::use_found() {
  const std::shared_ptr<const Model> model = std::exchange(found_, {}).model;
  if (!model) return;
  const RunnerOptions runner_options{options_.kernels, options_.threads};
  engine_->submit("open", "Open " + model->where(),
                  [this, model, runner_options](const JobContext&) -> Result<void> {
                    auto side = make_engine_side(model, runner_options);
                    if (!side.ok()) {
                      Private::post_error(this, side.error());
                      return std::move(side).error();
                    }
                    Private::post(this, [this, side = *side] { adopt_model(side); });
                    return {};
                  });
}

void Workbench::open_model(const QString& where) {
  const RunnerOptions runner_options{options_.kernels, options_.threads};
  const std::string path = where.toStdString();
  engine_->submit("open", "Open " + path,
                  [this, path, runner_options](const JobContext& job) -> Result<void> {
                    auto side = open_engine_side(path, runner_options, job);
                    if (!side.ok()) {
                      post_refusal(path, side.error());
                      Private::post(this, [this] { d_->pending.reset(); });
                      return std::move(side).error();
                    }
                    Private::post(this, [this, side = *side] { adopt_model(side); });
                    return {};
                  });
}

void Workbench::adopt_model(const std::shared_ptr<EngineSide>& side) {
  engine_->cancel_key("run");
  engine_->cancel_key("scores");
  engine_->cancel_key("generate");
  d_->side = side;
  d_->ids.clear();
  d_->chosen_by_person = false;
  model_ = side->model;
  run_a_.reset();
  run_b_.reset();
  comparison_.reset();
  head_scores_.reset();
  selection_ = {};
  history_ = {};
  text_a_ = text_b_ = {};
  finding_.clear();
  shown_ = Shown::baseline;
  add_bos_ = model_->adds_bos();
  if (d_->pending) {
    const Session session = *std::exchange(d_->pending, std::nullopt);
    prompt_ = QString::fromStdString(session.prompt);
    d_->ids = session.ids;
    add_bos_ = session.add_bos;
    if (!session.edits.empty()) history_.set(session.edits);
    sampling_ = session.sampling;
    selection_ = session.selection;
    d_->chosen_by_person = !selection_.heads.empty();
  }
  Q_EMIT model_changed();
  Q_EMIT edits_changed();
  Q_EMIT selection_changed();
  Q_EMIT generation_changed();
  Q_EMIT scores_changed();
  Q_EMIT runs_changed();
  request_runs();
}

void Workbench::request_runs() {
  if (!d_->side || !model_) return;
  // A text belongs to the edits it was made under.
  if (!text_b_.text.isEmpty() || text_b_.running) {
    engine_->cancel_key("generate");
    text_b_ = {};
    text_a_.running = false;
    Q_EMIT generation_changed();
  }
  if (prompt_.isEmpty() && d_->ids.empty()) return;
  const uint64_t generation = ++d_->generation;
  const WantedRuns wanted{prompt_.toStdString(), d_->ids, add_bos_, history_.edits(), run_a_, run_b_};
  stale_ = run_a_ != nullptr;
  Q_EMIT runs_changed();
  engine_->submit("run", "Run",
                  [this, side = d_->side, wanted, generation](const JobContext& job) -> Result<void> {
                    auto made = make_runs(*side, wanted, job);
                    if (!made.ok()) {
                      Private::post_error(this, made.error());
                      Private::post(this, [this, generation] {
                        if (generation != d_->generation) return;
                        stale_ = false;
                        Q_EMIT runs_changed();
                      });
                      return std::move(made).error();
                    }
                    Private::post(this, [this, made = std::move(*made), generation] {
                      if (generation == d_->generation) adopt_runs(made);
                    });
                    return {};
                  });
}

void Workbench::adopt_runs(const MadeRuns& made) {
  const auto shown_before = shown_capture();
  run_a_ = made.a;
  run_b_ = made.b;
  comparison_ = made.comparison;
  stale_ = false;
  if (!edited()) shown_ = Shown::baseline;
  Q_EMIT runs_changed();
  for (const std::string& finding : run_b_->findings) {
    finding_ = QString::fromStdString(finding);
    Q_EMIT finding_changed();
  }
  if (shown_capture() != shown_before) request_scores();
}

void Workbench::request_scores() {
  const auto capture = shown_capture();
  if (!capture) return;
  engine_->submit("scores", "Score every head", [this, capture](const JobContext& job) -> Result<void> {
    auto scores = score_heads(capture, *options_.kernels, job);
    if (!scores.ok()) {
      Private::post_error(this, scores.error());
      return std::move(scores).error();
    }
    Private::post(this, [this, scores = std::move(*scores), capture] {
      if (capture != shown_capture()) return;
      head_scores_ = scores;
      Q_EMIT scores_changed();
      if (!d_->chosen_by_person)
        if (const auto head = strongest_head(scores, "induction")) {
          selection_.head = *head;
          selection_.heads = {*head};
          remember_selection();
          Q_EMIT selection_changed();
        }
      update_finding();
    });
    return {};
  });
}

void Workbench::update_finding() {
  if (!head_scores_ || selection_.heads.empty()) return;
  finding_ = describe_head(*head_scores_, selection_.head);
  Q_EMIT finding_changed();
}

void Workbench::set_prompt(const QString& text, bool add_bos) {
  if (text == prompt_ && add_bos == add_bos_ && d_->ids.empty() && run_a_) return;
  prompt_ = text;
  add_bos_ = add_bos;
  d_->ids.clear();
  text_a_ = text_b_ = {};
  selection_.query = selection_.key = -1;
  engine_->cancel_key("generate");
  Q_EMIT generation_changed();
  request_runs();
}

void Workbench::remember_selection() {
  if (!d_->visited.empty() && d_->visited[d_->visited_at] == selection_) return;
  d_->visited.resize(std::min(d_->visited.size(), d_->visited_at + 1));
  d_->visited.push_back(selection_);
  d_->visited_at = d_->visited.size() - 1;
}

void Workbench::select_head(HeadId head, bool toggle) {
  d_->chosen_by_person = true;
  std::vector<HeadId>& heads = selection_.heads;
  const auto found = std::find(heads.begin(), heads.end(), head);
  if (!toggle) {
    heads = {head};
    selection_.head = head;
  } else if (found == heads.end()) {
    heads.push_back(head);
    selection_.head = head;
  } else if (heads.size() > 1) {
    heads.erase(found);
    selection_.head = heads.back();
  }
  remember_selection();
  Q_EMIT selection_changed();
  update_finding();
}

void Workbench::select_heads(const std::vector<HeadId>& heads) {
  if (heads.empty()) return;
  d_->chosen_by_person = true;
  selection_.heads = heads;
  if (std::find(heads.begin(), heads.end(), selection_.head) == heads.end()) selection_.head = heads.front();
  remember_selection();
  Q_EMIT selection_changed();
  update_finding();
}

void Workbench::select_tokens(int query, int key) {
  if (selection_.query == query && selection_.key == key) return;
  selection_.query = query;
  selection_.key = key;
  remember_selection();
  Q_EMIT selection_changed();
}

void Workbench::set_edits(std::vector<Edit> edits, const QString& coalesce_tag) {
  if (edits == history_.edits()) return;
  history_.set(std::move(edits), coalesce_tag.toStdString());
  Q_EMIT edits_changed();
  request_runs();
}

void Workbench::add_edit(const Edit& edit) {
  std::vector<Edit> edits = history_.edits();
  edits.push_back(edit);
  set_edits(std::move(edits));
}

void Workbench::zero_selected_heads() {
  std::vector<Edit> edits = history_.edits();
  const auto zero_of = [](HeadId head) {
    Edit edit;
    edit.verb = EditVerb::zero;
    edit.target = target_of(head);
    return edit;
  };
  const auto zeroed = [&](HeadId head) {
    return std::find(edits.begin(), edits.end(), zero_of(head)) != edits.end();
  };
  const bool all = std::all_of(selection_.heads.begin(), selection_.heads.end(), zeroed);
  for (const HeadId head : selection_.heads) {
    if (all)
      std::erase(edits, zero_of(head));
    else if (!zeroed(head))
      edits.push_back(zero_of(head));
  }
  set_edits(std::move(edits));
}

void Workbench::isolate_selected_heads() {
  if (!model_ || selection_.heads.empty()) return;
  std::vector<Edit> edits = history_.edits();
  const auto selected = [&](HeadId head) {
    return std::find(selection_.heads.begin(), selection_.heads.end(), head) != selection_.heads.end();
  };
  for (int32_t l = 0; l < model_->spec().n_layer; ++l) {
    const bool layer = std::any_of(selection_.heads.begin(), selection_.heads.end(),
                                   [&](HeadId head) { return head.layer.value == l; });
    IndexSet others;
    for (int32_t h = 0; layer && h < model_->spec().n_head; ++h)
      if (!selected({LayerIndex{l}, HeadIndex{h}})) others.ranges.emplace_back(h, h);
    if (others.ranges.empty()) continue;
    Edit edit;
    edit.verb = EditVerb::zero;
    edit.target = HeadTarget{{{{l, l}}}, others};
    if (std::find(edits.begin(), edits.end(), edit) == edits.end()) edits.push_back(edit);
  }
  set_edits(std::move(edits));
}

void Workbench::undo() {
  if (!history_.can_undo()) return;
  history_.undo();
  Q_EMIT edits_changed();
  request_runs();
}

void Workbench::redo() {
  if (!history_.can_redo()) return;
  history_.redo();
  Q_EMIT edits_changed();
  request_runs();
}

void Workbench::show_run(Shown shown) {
  if (shown != Shown::baseline && !edited()) shown = Shown::baseline;
  if (shown == shown_) return;
  const auto before = shown_capture();
  shown_ = shown;
  Q_EMIT runs_changed();
  if (shown_capture() != before) request_scores();
}

void Workbench::set_scale(const ColourScale& scale) {
  scale_ = scale;
  Q_EMIT scale_changed();
}

void Workbench::set_score(const QString& field_name) {
  if (score_ == field_name) return;
  score_ = field_name;
  Q_EMIT scores_changed();
}

void Workbench::set_sampling(const SamplingOptions& sampling) { sampling_ = sampling; }

void Workbench::generate() {
  if (!d_->side || !run_a_ || !model_) return;
  text_a_ = {QString(), true, {}};
  text_b_ = edited() ? GeneratedText{QString(), true, {}} : GeneratedText{};
  Q_EMIT generation_changed();
  const auto stream = [this, side = d_->side, sampling = sampling_](const RunRequest& request,
                                                                    GeneratedText Workbench::*text,
                                                                    const JobContext& job) -> Result<void> {
    auto last = std::chrono::steady_clock::now() - std::chrono::seconds(1);
    const auto show = [this, text](const std::string& so_far, bool running, const QString& note) {
      Private::post(this, [this, text, so_far = QString::fromStdString(so_far), running, note] {
        this->*text = {so_far, running, note};
        Q_EMIT generation_changed();
      });
    };
    auto made = side->runner->generate(
        request, sampling,
        [&](const Token&, const std::string& so_far) {
          const auto now = std::chrono::steady_clock::now();
          if (now - last < std::chrono::milliseconds(30)) return;
          last = now;
          show(so_far, true, {});
        },
        job);
    if (!made.ok()) {
      show({}, false, QString::fromStdString(made.error().message));
      return std::move(made).error();
    }
    show(made->text, false,
         made->cancelled        ? tr("stopped")
         : made->stopped_at_eos ? tr("end of text")
                                : QString());
    return {};
  };
  engine_->submit(
      "generate", "Generate",
      [stream, a = run_a_, b = edited() ? run_b_ : nullptr](const JobContext& job) -> Result<void> {
        SACCADE_CHECK(stream(a->request, &Workbench::text_a_, job));
        if (b) SACCADE_CHECK(stream(b->request, &Workbench::text_b_, job));
        return {};
      });
}

void Workbench::back() {
  if (d_->visited_at == 0) return;
  selection_ = d_->visited[--d_->visited_at];
  Q_EMIT selection_changed();
  update_finding();
}

void Workbench::forward() {
  if (d_->visited_at + 1 >= d_->visited.size()) return;
  selection_ = d_->visited[++d_->visited_at];
  Q_EMIT selection_changed();
  update_finding();
}

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

void Workbench::open_dump(const QString& path) {
  engine_->submit("open", "Read " + path.toStdString(),
                  [this, path = path.toStdString()](const JobContext&) -> Result<void> {
                    auto run = run_from_dump(path);
                    if (!run.ok()) {
                      Private::post_error(this, run.error());
                      return std::move(run).error();
                    }
                    Private::post(this, [this, run = *run] {
                      d_->side.reset();
                      d_->chosen_by_person = false;
                      model_.reset();
                      history_ = {};
                      selection_ = {};
                      text_a_ = text_b_ = {};
                      head_scores_.reset();
                      prompt_ = QString::fromStdString(run->capture->provenance.prompt);
                      shown_ = Shown::baseline;
                      run_a_.reset();
                      run_b_.reset();
                      Q_EMIT model_changed();
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
  session.edits = history_.edits();
  session.sampling = sampling_;
  session.selection = selection_;
  session.view["palette"] = to_string(scale_.palette);
  session.view["sinks"] = to_string(scale_.mode);
  session.view["score"] = score_.toStdString();
  return session;
}

void Workbench::restore(const Session& session) {
  if (const auto palette = parse_palette(session.view.value("palette", std::string())); palette.ok())
    scale_.palette = *palette;
  if (const auto mode = parse_sink_mode(session.view.value("sinks", std::string())); mode.ok())
    scale_.mode = *mode;
  score_ = QString::fromStdString(session.view.value("score", std::string()));
  Q_EMIT scale_changed();
  d_->pending = session;
  open_model(QString::fromStdString(session.model));
}

void Workbench::open_anything(const QString& path) {
  const std::filesystem::path file = path.toStdString();
  const std::string extension = file.extension().string();
  if (extension == ".h5" || extension == ".hdf5") return open_dump(path);
  if (extension == ".json" && file.filename() != "config.json") {
    const auto session = load_session(file);
    if (session.ok()) return restore(*session);
    Q_EMIT failed(QString::fromStdString(session.error().message),
                  QString::fromStdString(session.error().to_string()));
    return;
  }
  const QString where = extension == ".json" ? QString::fromStdString(file.parent_path().string()) : path;
  if (model_) return look_at(where);
  open_model(where);  // there is nothing to lose
}

}  // namespace saccade
