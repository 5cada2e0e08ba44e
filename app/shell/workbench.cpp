#include "app/shell/workbench.h"

#include <algorithm>
#include <chrono>

#include "analysis/answer_contrast.h"
#include "app/shell/finding.h"
#include "app/shell/workbench_private.h"

namespace saccade {

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
  const RunnerOptions runner_options{options_.kernels, options_.threads, options_.device};
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
  const RunnerOptions runner_options{options_.kernels, options_.threads, options_.device};
  const std::string path = where.toStdString();
  QStringList pictures;
  if (d_->pending)
    for (const std::string& file : d_->pending->images) pictures << QString::fromStdString(file);
  engine_->submit("open", "Open " + path,
                  [this, path, runner_options, pictures](const JobContext& job) -> Result<void> {
                    auto side = open_engine_side(path, runner_options, job);
                    if (!side.ok()) {
                      post_refusal(path, side.error());
                      Private::post(this, [this] { d_->pending.reset(); });
                      return std::move(side).error();
                    }
                    std::optional<Error> unread;
                    if (auto read = read_pictures(**side, pictures); read.ok())
                      (*side)->restored = std::move(*read);
                    else
                      unread = read.error();
                    Private::post(this, [this, side = *side, unread] {
                      adopt_model(side);
                      if (unread) Private::post_error(this, *unread);
                    });
                    return {};
                  });
}

void Workbench::adopt_model(const std::shared_ptr<EngineSide>& side) {
  engine_->cancel_key("run");
  engine_->cancel_key("scores");
  engine_->cancel_key("generate");
  stop_methods();  // what they have so far is kept
  d_->side = side;
  d_->ids.clear();
  d_->chosen_by_person = false;
  model_ = side->model;
  run_a_.reset();
  run_b_.reset();
  comparison_.reset();
  head_scores_.reset();
  update_columns();
  selection_ = {};
  history_ = {};
  contrast_ = {};
  text_a_ = text_b_ = {};
  finding_.clear();
  shown_ = Shown::baseline;
  run_pictures_.clear();
  if (!takes_pictures()) pictures_.clear();
  if (reads_only_pictures() && pictures_.size() > 1) pictures_ = {pictures_.back()};
  add_bos_ = model_->adds_bos();
  if (d_->pending) {
    const Session session = *std::exchange(d_->pending, std::nullopt);
    prompt_ = QString::fromStdString(session.prompt);
    d_->ids = session.ids;
    add_bos_ = session.add_bos;
    if (!session.edits.empty()) history_.set(session.edits);
    sampling_ = session.sampling;
    contrast_ = session.contrast;
    selection_ = session.selection;
    pictures_ = std::exchange(side->restored, {});
    d_->chosen_by_person = !selection_.heads.empty();
  }
  Q_EMIT model_changed();
  Q_EMIT pictures_changed();
  Q_EMIT edits_changed();
  Q_EMIT selection_changed();
  Q_EMIT generation_changed();
  Q_EMIT scores_changed();
  Q_EMIT finding_changed();  // there is none yet
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
  if (lacks_picture() || (!reads_only_pictures() && prompt_.isEmpty() && d_->ids.empty())) return;
  const uint64_t generation = ++d_->generation;
  const WantedRuns wanted{prompt_.toStdString(), d_->ids, add_bos_, pictures_,
                          history_.edits(),      run_a_,  run_b_};
  stale_ = run_a_ != nullptr;
  Q_EMIT runs_changed();
  engine_->submit(
      "run", "Run", [this, side = d_->side, wanted, generation](const JobContext& job) -> Result<void> {
        auto made = make_runs(*side, wanted, job);
        if (!made.ok()) {
          Private::post_error(this, made.error());
          Private::post(this, [this, generation] {
            if (generation != d_->generation) return;
            stale_ = false;
            Q_EMIT runs_changed();
            offer_place();
          });
          return std::move(made).error();
        }
        Private::post(this, [this, made = std::move(*made), pictures = wanted.pictures, generation] {
          if (generation != d_->generation) return;
          run_pictures_ = pictures;
          adopt_runs(made);
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
    finding_result_ = 0;
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
      update_columns();
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
  finding_result_ = 0;
  Q_EMIT finding_changed();
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
  selection_.word = -1;
  text_a_ = {QString(), true, {}};
  text_b_ = edited() ? GeneratedText{QString(), true, {}} : GeneratedText{};
  Q_EMIT generation_changed();
  const auto stream = [this, side = d_->side, sampling = sampling_, wanted = contrast_, baseline = run_a_](
                          const RunRequest& request, GeneratedText Workbench::*text,
                          const JobContext& job) -> Result<void> {
    auto last = std::chrono::steady_clock::now() - std::chrono::seconds(1);
    const auto show = [this, text](const std::string& so_far, bool running, const QString& note) {
      Private::post(this, [this, text, so_far = QString::fromStdString(so_far), running, note] {
        this->*text = {so_far, running, note};
        Q_EMIT generation_changed();
      });
    };
    const auto finish = [this, text](GeneratedText made) {
      Private::post(this, [this, text, made = std::move(made)] {
        this->*text = made;
        Q_EMIT generation_changed();
      });
    };
    SamplingOptions steered = sampling;
    auto contrast = contrast_of(wanted, *side->runner, request, side->edit_files, baseline->capture, job);
    if (!contrast.ok()) {
      show({}, false, QString::fromStdString(contrast.error().message));
      return std::move(contrast).error();
    }
    steered.contrast = std::move(*contrast);
    auto made = side->runner->generate(
        request, steered,
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
    GeneratedText done{QString::fromStdString(made->text), false,
                       made->cancelled        ? tr("stopped")
                       : made->stopped_at_eos ? tr("end of text")
                                              : QString(),
                       made->tokens};
    if (wanted.asked_for()) done.note += (done.note.isEmpty() ? "" : ", ") + tr("contrasted");
    if (!request.tokens.images.empty() && !made->tokens.empty()) {
      done.first_row = request.tokens.size() - 1;
      // Too long for another run: the text stays, without its maps.
      if (auto run = run_with_words(*side, request, made->tokens, job); run.ok()) done.run = *run;
    }
    finish(std::move(done));
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

}  // namespace saccade
