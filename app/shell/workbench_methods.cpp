// The workbench's methods: runs them on the engine, keeps what they give, and offers their numbers per head.
#include <algorithm>
#include <chrono>

#include "analysis/run_method.h"
#include "app/shell/answer_cache.h"
#include "app/shell/workbench.h"
#include "app/shell/workbench_private.h"

namespace saccade {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string key_of(int number) { return "method:" + std::to_string(number); }

// Lets what a person waits for pass, and hands on what there is so far: at first after half a second, then
// so rarely that it costs a tenth of the time.
class Between {
 public:
  Between(Engine& engine, std::function<void(AnalysisResult)> show)
      : engine_(&engine), show_(std::move(show)) {}

  void operator()(const std::function<Result<AnalysisResult>()>& so_far) {
    engine_->give_way([](const JobStatus& job) { return !job.key.starts_with("method:"); });
    if (seconds_since(last_) < pause_) return;
    const auto begun = Clock::now();
    auto made = so_far();
    pause_ = std::max(0.5, 10.0 * seconds_since(begun));
    last_ = Clock::now();
    if (made.ok()) show_(std::move(*made));
  }

 private:
  Engine* engine_;
  std::function<void(AnalysisResult)> show_;
  Clock::time_point last_ = Clock::now();
  double pause_ = 0.5;
};

QString text_of(const std::string& text) { return QString::fromStdString(text); }

}  // namespace

std::span<const AnalysisMethod* const> Workbench::methods() const { return catalogue().methods(); }

const KeptResult* Workbench::result(int number) const {
  const auto found = std::find_if(results_.begin(), results_.end(),
                                  [&](const KeptResult& kept) { return kept.number == number; });
  return found == results_.end() ? nullptr : &*found;
}

KeptResult* Workbench::find_result(int number) { return const_cast<KeptResult*>(result(number)); }

bool Workbench::is_about_model(const KeptResult& kept) const {
  if (model_) return kept.run.model_digest == model_->digest();
  const auto capture = shown_capture();
  return capture && capture->provenance.model_digest == kept.run.model_digest;
}

int Workbench::run_method(const QString& id, const nlohmann::json& parameters) {
  const auto refuse = [&](const QString& why) {
    Q_EMIT method_refused(id, why);
    return 0;
  };
  const auto list = methods();
  const auto found = std::find_if(list.begin(), list.end(), [&](const AnalysisMethod* method) {
    return method->info().id == id.toStdString();
  });
  if (found == list.end()) return refuse(tr("There is no method “%1” in this program.").arg(id));
  const AnalysisMethod* method = *found;
  const auto run = shown_ == Shown::baseline ? run_a_ : run_b_;
  if (!run) return refuse(tr("Open a model and run a prompt first: a method looks at a run."));
  if (!model_ || !d_->side)
    return refuse(
        tr("What is open is a dump, a run without its model. Open the model to run methods on it."));
  const auto complete = complete_parameters(method->info(), parameters);
  if (!complete.ok()) return refuse(text_of(complete.error().message));
  KeptResult kept;
  kept.number = ++d_->last_number;
  kept.method = method->info().id;
  kept.title = method->info().title;
  kept.parameters = *complete;
  kept.running = true;
  kept.run = run->capture->provenance;
  kept.n_layer = run->capture->spec.n_layer;
  kept.n_head = run->capture->spec.n_head;
  const int number = kept.number;
  results_.insert(results_.begin(), kept);
  result_shown_ = number;
  Q_EMIT results_changed();
  engine_->submit(
      key_of(number), kept.title,
      [this, number, method, run, side = d_->side,
       given = kept.parameters](const JobContext& job) -> Result<void> {
        const auto begun = Clock::now();
        const auto hand_over = [this, number, begun](AnalysisResult result, bool running) {
          auto shared = std::make_shared<const AnalysisResult>(std::move(result));
          Private::post(this, [this, number, shared, running, seconds = seconds_since(begun)] {
            keep_result(number, shared, running, seconds);
          });
        };
        Laboratory laboratory{side->model, side->runner.get(),
                              answer_file(method->info().id, given, run->digest)};
        laboratory.between =
            Between(*engine_, [hand_over](AnalysisResult so_far) { hand_over(std::move(so_far), true); });
        auto made = saccade::run_method(*method, given, run, laboratory, job);
        if (!made.ok()) {
          Private::post(this, [this, number, error = made.error()] { drop_running(number, error); });
          return std::move(made).error();
        }
        hand_over(std::move(*made), false);
        return {};
      });
  return number;
}

void Workbench::run_again(int number) {
  const KeptResult* kept = result(number);
  if (!kept) return;
  const KeptResult before = *kept;
  if (run_method(text_of(before.method), before.parameters) && !before.result) remove_result(number);
}

void Workbench::stop_method(int number) {
  const KeptResult* kept = result(number);
  if (!kept || !kept->running) return;
  const std::string key = key_of(number);
  const auto jobs = engine_->jobs();
  const bool waits = std::any_of(jobs.begin(), jobs.end(), [&](const JobStatus& job) {
    return job.key == key && job.state == JobState::waiting;
  });
  engine_->cancel_key(key);
  if (waits) drop_running(number, make_error(ErrorCode::cancelled, "cancelled"));
}

void Workbench::stop_methods() {
  std::vector<int> running;
  for (const KeptResult& kept : results_)
    if (kept.running) running.push_back(kept.number);
  for (const int number : running) stop_method(number);
}

void Workbench::keep_result(int number, std::shared_ptr<const AnalysisResult> result, bool running,
                            double seconds) {
  KeptResult* kept = find_result(number);
  if (!kept) return;  // taken off the list meanwhile
  kept->result = std::move(result);
  kept->running = running;
  kept->seconds = seconds;
  if (!kept->result->findings.empty() && !running) {
    finding_ = text_of(kept->result->findings.front());
    finding_result_ = number;
    Q_EMIT finding_changed();
  }
  update_columns();
  Q_EMIT results_changed();
  Q_EMIT scores_changed();
}

// A method that ended without a result: what it had so far stays, if it had anything.
void Workbench::drop_running(int number, const Error& error) {
  KeptResult* kept = find_result(number);
  if (!kept) return;
  const QString id = text_of(kept->method);
  const bool empty = !kept->result, cancelled = error.code == ErrorCode::cancelled;
  kept->running = false;
  if (empty) {
    std::erase_if(results_, [&](const KeptResult& other) { return other.number == number; });
    if (result_shown_ == number) result_shown_ = results_.empty() ? 0 : results_.front().number;
  }
  Q_EMIT results_changed();
  if (cancelled && !empty) return;
  Q_EMIT method_refused(
      id, cancelled ? tr("Stopped before there was anything to show.") : text_of(error.message));
}

void Workbench::show_result(int number) {
  if (!result(number)) return;
  result_shown_ = number;
  Q_EMIT results_changed();
  Q_EMIT result_raised(number);
}

void Workbench::remove_result(int number) {
  stop_method(number);
  std::erase_if(results_, [&](const KeptResult& kept) { return kept.number == number; });
  if (result_shown_ == number) result_shown_ = results_.empty() ? 0 : results_.front().number;
  if (finding_result_ == number) finding_result_ = 0;
  update_columns();
  Q_EMIT results_changed();
  Q_EMIT scores_changed();
}

int Workbench::add_result(KeptResult kept) {
  kept.number = ++d_->last_number;
  const int number = kept.number;
  results_.insert(results_.begin(), std::move(kept));
  result_shown_ = number;
  update_columns();
  Q_EMIT results_changed();
  Q_EMIT scores_changed();
  return number;
}

const HeadColumn* Workbench::head_column(const QString& key) const {
  const auto found = std::find_if(columns_.begin(), columns_.end(),
                                  [&](const HeadColumn& column) { return column.name == key.toStdString(); });
  return key.isEmpty() || found == columns_.end() ? nullptr : &*found;
}

void Workbench::update_columns() {
  columns_.clear();
  const auto capture = shown_capture();
  if (!capture) return;
  const int64_t layers = capture->spec.n_layer, heads = capture->spec.n_head;
  if (head_scores_) columns_ = saccade::head_columns(*head_scores_, layers, heads);
  for (const KeptResult& kept : results_) {
    if (!kept.result || !is_about_model(kept)) continue;
    for (HeadColumn& column : saccade::head_columns(*kept.result, layers, heads)) {
      column.name = std::to_string(kept.number) + ":" + column.name;
      column.label += " · " + kept.method + " #" + std::to_string(kept.number);
      columns_.push_back(std::move(column));
    }
  }
}

std::vector<SessionAnalysis> Workbench::analyses() const {
  std::vector<SessionAnalysis> analyses;
  for (auto kept = results_.rbegin(); kept != results_.rend(); ++kept)
    analyses.push_back({kept->method, kept->parameters, {}, {}});
  return analyses;
}

// What a session file says was run: on the list, to be run again by whoever wants to.
void Workbench::offer_analyses(const std::vector<SessionAnalysis>& analyses) {
  for (const SessionAnalysis& entry : analyses) {
    KeptResult kept;
    kept.method = entry.method;
    kept.title = kept.method;
    for (const AnalysisMethod* method : methods())
      if (method->info().id == kept.method) kept.title = method->info().title;
    kept.parameters = entry.parameters;
    if (std::any_of(results_.begin(), results_.end(), [&](const KeptResult& other) {
          return other.method == kept.method && other.parameters == kept.parameters;
        }))
      continue;  // here already
    kept.number = ++d_->last_number;
    results_.insert(results_.begin(), std::move(kept));
  }
  if (!results_.empty() && result_shown_ == 0) result_shown_ = results_.front().number;
  Q_EMIT results_changed();
}

}  // namespace saccade
