#include "analysis/run_method.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/answer_journal.h"

namespace saccade {
namespace {

constexpr size_t answers_at_once = 256;  // rows of logits held: 50 MB with a vocabulary of 50,000

// One round of what a method asked for.
class Round {
 public:
  Round(const Laboratory& laboratory, AnswerJournal& journal, const std::shared_ptr<const Run>& looked_at,
        const JobContext& job, const std::function<void()>& between)
      : laboratory_(laboratory), journal_(journal), looked_at_(looked_at), job_(job), between_(between) {}

  // Cancelled: fills in what was done and returns the error.
  Result<void> run(const std::vector<Wanted>& wanted, std::vector<Outcome>& outcomes) {
    const size_t first = outcomes.size();
    outcomes.resize(first + wanted.size());
    total_ = wanted.size();
    std::vector<size_t> waiting;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const auto* answer = std::get_if<AnswerWanted>(&wanted[i]);
      if (answer == nullptr) {
        SACCADE_TRY(outcomes[first + i], alone(wanted[i]));
        ++done_;
        between_();
      } else if (const KeptAnswer* known = journal_.find(name_of(*answer))) {
        outcomes[first + i] = *known;
        ++done_;
      } else {
        waiting.push_back(i);
      }
    }
    for (size_t at = 0; at < waiting.size(); at += answers_at_once) {
      const std::span<const size_t> some =
          std::span(waiting).subspan(at, std::min(answers_at_once, waiting.size() - at));
      SACCADE_CHECK(answer(wanted, some, outcomes, first));
      if (done_ < total_) between_();
    }
    return {};
  }

 private:
  // Progress of a part of the round, as progress of the whole.
  [[nodiscard]] JobContext part_of_job(size_t size) const {
    JobContext part = job_;
    const double from = static_cast<double>(done_), share = static_cast<double>(size),
                 all = static_cast<double>(std::max<size_t>(total_, 1));
    part.on_progress = [this, from, share, all](double fraction, std::string_view what) {
      job_.progress((from + share * fraction) / all, fmt::format("{} of {}: {}", done_ + 1, total_, what));
    };
    return part;
  }

  // Whatever does not go through the layers together with others: everything but answers.
  Result<Outcome> alone(const Wanted& wanted) {
    const JobContext part = part_of_job(1);
    if (const auto* run = std::get_if<RunWanted>(&wanted)) {
      const std::shared_ptr<const Run>& base = run->base ? run->base : looked_at_;
      SACCADE_TRY(auto made, laboratory_.runner->run(run->request, base, part));
      return Outcome(std::move(made));
    }
    if (const auto* tower = std::get_if<TowerWanted>(&wanted)) {
      SACCADE_TRY(auto made,
                  laboratory_.runner->run_tower(tower->image, tower->capture, part, tower->layers));
      return Outcome(std::move(made));
    }
    if (const auto* paths = std::get_if<PathsWanted>(&wanted)) {
      SACCADE_TRY(HostTensor residuals,
                  laboratory_.runner->residuals_on_paths(*paths->run->capture, paths->question, part));
      return Outcome(std::make_shared<const HostTensor>(std::move(residuals)));
    }
    if (const auto* gradient = std::get_if<GradientWanted>(&wanted)) {
      SACCADE_TRY(auto made, laboratory_.runner->gradients(gradient->request, looked_at_, part));
      return Outcome(std::move(made));
    }
    if (const auto* numbers = std::get_if<NumbersWanted>(&wanted)) return make_numbers(*numbers);
    return generate(std::get<GenerationWanted>(wanted));
  }

  Result<Outcome> make_numbers(const NumbersWanted& wanted) {
    if (const std::vector<double>* known = journal_.find_numbers(wanted.name))
      return Outcome(std::make_shared<const std::vector<double>>(*known));
    SACCADE_TRY(std::vector<double> made, wanted.make(*laboratory_.runner, part_of_job(1)));
    SACCADE_CHECK(journal_.add(wanted.name, made));
    return Outcome(std::make_shared<const std::vector<double>>(std::move(made)));
  }

  // From the journal where it is there. One that was cancelled half way is not an outcome.
  Result<Outcome> generate(const GenerationWanted& wanted) {
    const std::string name = name_of(wanted);
    if (const Generation* known = journal_.find_generation(name)) {
      Generation generation = *known;
      for (Token& token : generation.tokens) {
        SACCADE_TRY(token, laboratory_.model->tokenizer().token(token.id));
      }
      return Outcome(std::make_shared<const Generation>(std::move(generation)));
    }
    SACCADE_TRY(Generation generation,
                laboratory_.runner->generate(wanted.request, wanted.options, {}, part_of_job(1)));
    if (generation.cancelled) return make_error(ErrorCode::cancelled, "cancelled");
    SACCADE_CHECK(journal_.add(name, generation));
    return Outcome(std::make_shared<const Generation>(std::move(generation)));
  }

  Result<void> answer(const std::vector<Wanted>& wanted, std::span<const size_t> some,
                      std::vector<Outcome>& outcomes, size_t first) {
    std::vector<RunRequest> requests;
    for (const size_t i : some) requests.push_back(std::get<AnswerWanted>(wanted[i]).request);
    SACCADE_TRY(const std::vector<HostTensor> logits,
                laboratory_.runner->answers(requests, part_of_job(some.size())));
    for (size_t n = 0; n < some.size(); ++n) {
      const auto& asked = std::get<AnswerWanted>(wanted[some[n]]);
      const KeptAnswer kept = keep_answer(logits[n], asked.ids, asked.reference.get(), asked.spread);
      SACCADE_CHECK(journal_.add(name_of(asked), kept));
      outcomes[first + some[n]] = kept;
    }
    done_ += some.size();
    return {};
  }

  const Laboratory& laboratory_;
  AnswerJournal& journal_;
  const std::shared_ptr<const Run>& looked_at_;
  const JobContext& job_;
  const std::function<void()>& between_;
  size_t total_ = 0, done_ = 0;
};

}  // namespace

Result<AnalysisResult> run_method(const AnalysisMethod& method, const nlohmann::json& parameters,
                                  const std::shared_ptr<const Run>& looked_at, const Laboratory& laboratory,
                                  const JobContext& job) {
  MethodInput input;
  SACCADE_TRY(input.parameters, complete_parameters(method.info(), parameters));
  input.capture = looked_at->capture;
  input.kernels = &laboratory.runner->kernels();
  input.model = laboratory.model;
  input.base = looked_at->request;
  input.threads = laboratory.runner->threads();
  const std::function<Result<AnalysisResult>()> so_far = [&]() -> Result<AnalysisResult> {
    SACCADE_TRY(AnalysisResult partial, method.compute(input, JobContext{job.cancel, {}}));
    partial.partial = true;
    return partial;
  };
  const std::function<void()> between = [&] {
    if (laboratory.between) laboratory.between(so_far);
  };
  SACCADE_TRY(AnswerJournal journal, AnswerJournal::open(laboratory.journal));
  while (true) {
    SACCADE_TRY(const std::vector<Wanted> wanted, method.plan(input));
    if (wanted.empty()) return method.compute(input, job);
    const Result<void> round =
        Round(laboratory, journal, looked_at, job, between).run(wanted, input.outcomes);
    if (round.ok()) continue;
    if (round.error().code != ErrorCode::cancelled) return round.error();
    SACCADE_TRY(AnalysisResult partial, method.compute(input, JobContext{}));
    partial.partial = true;
    return partial;
  }
}

}  // namespace saccade
