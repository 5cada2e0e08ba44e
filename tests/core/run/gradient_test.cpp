// Runner::gradients() against central finite differences made with edits, for every family of the goldens.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/run/gradient.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

std::vector<int32_t> some_ids(int64_t n, int32_t n_vocab) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>((7 + 13 * i + i * i) % n_vocab));
  return ids;
}

// One thread: thousands of runs of tiny models, beside which handing work to another costs more.
fixtures::Opened open(const std::string& family) {
  fixtures::Opened opened;
  auto model = Model::open(fixtures::golden(family).string());
  EXPECT_TRUE(model.ok()) << model.error().to_string();
  if (!model.ok()) return opened;
  opened.model = *model;
  opened.runner = std::move(Runner::create(opened.model, {nullptr, 1}).value());
  return opened;
}

double dot(const HostTensor& a, const HostTensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double sum = 0.0;
  for (int64_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a.data()[i]) * b.data()[i];
  return sum;
}

double norm(const HostTensor& a) { return std::sqrt(dot(a, a)); }

// 2 logit[3] - logit[5] where the model is asked; and with `loss`, minus the loss of token 3.
GradientRequest question(const RunRequest& run, bool loss) {
  GradientRequest request;
  request.run = run;
  request.scalar = {{ScalarKind::logit, 2.0, -1, {3}}, {ScalarKind::logit, -1.0, -1, {5}}};
  if (loss) request.scalar.push_back({ScalarKind::log_probability, 1.0, 2, {run.tokens.tokens[3].id}});
  return request;
}

// The same number from a plain run.
double answer_of(const fixtures::Opened& opened, RunRequest run, bool loss) {
  run.capture = CapturePlan{};
  run.capture.attention = run.capture.statistics = false;
  const auto done = fixtures::run(opened, run);
  const float* logits = done->capture->last_logits.data();
  return 2.0 * logits[3] - logits[5] - (loss ? done->capture->loss[2] : 0.0F);
}

RunRequest with_value(const RunRequest& run, const ModelSpec& spec, SiteRef site, const HostTensor& value) {
  auto other = std::make_shared<Capture>();
  other->spec = spec;
  other->tokens = run.tokens.tokens;
  other->sites[site] = value;
  RunRequest changed = run;
  const std::string where = site.site == HookSite::z ? std::to_string(site.layer) + ".*" : full_name(site);
  changed.edits.push_back(parse_edit("replace " + where + " from=probe").value());
  changed.references["probe"] = other;
  return changed;
}

// The slope along a direction of length 1, with the five-point stencil: error of order step^4.
double slope(const std::function<double(double)>& f, double step) {
  return (8.0 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12.0 * step);
}

// How far one step moves the scalar, to first order. Float32 logits carry some 3e-6 of noise, some 5e-4 of
// the slope at this step; curvature adds about as much in models as steep as these random ones.
constexpr double movement = 0.01, slope_tolerance = 3e-3;
constexpr double logit_noise = 5e-4;  // 3e-6 over a step of 0.01

class GradientOfFamily : public testing::TestWithParam<std::string> {
 protected:
  // A family is opened once for all of its tests.
  void SetUp() override {
    static std::map<std::string, fixtures::Opened> known;
    fixtures::Opened& known_opened = known[GetParam()];
    if (!known_opened.runner) known_opened = open(GetParam());
    ASSERT_TRUE(known_opened.runner);
    opened_ = &known_opened;
    const ModelSpec& spec = opened_->model->spec();
    loss_ = spec.predicts_next_token();
    run_ = fixtures::request(*opened_, some_ids(9, spec.n_vocab));
  }
  [[nodiscard]] std::shared_ptr<const GradientCapture> gradients(const GradientRequest& request) const {
    auto made = opened_->runner->gradients(request, nullptr, {});
    EXPECT_TRUE(made.ok()) << made.error().to_string();
    return made.ok() ? *made : nullptr;
  }

  fixtures::Opened* opened_ = nullptr;
  RunRequest run_;
  bool loss_ = false;
};

TEST_P(GradientOfFamily, gradients_are_the_slopes_of_the_run) {
  const ModelSpec& spec = opened_->model->spec();
  GradientRequest request = question(run_, loss_);
  const int32_t last = spec.n_layer - 1;
  for (const SiteRef site :
       {SiteRef{HookSite::embed, -1}, SiteRef{HookSite::pos_embed, -1}, SiteRef{HookSite::resid_pre, last},
        SiteRef{HookSite::z, 0}, SiteRef{HookSite::attn_out, 0}, SiteRef{HookSite::resid_mid, 0},
        SiteRef{HookSite::mlp_pre, 0}, SiteRef{HookSite::mlp_post, last}, SiteRef{HookSite::resid_post, 0}})
    if (exists(site, spec)) request.sites.push_back(site);
  const auto made = gradients(request);
  ASSERT_TRUE(made);
  EXPECT_LE(made->largest_difference, 1e-4) << "between a layer as run and as differentiated";
  EXPECT_NEAR(made->scalar, answer_of(*opened_, run_, loss_), 1e-4);
  for (const SiteRef& site : request.sites) {
    const HostTensor &value = made->values.at(site), &gradient = made->gradients.at(site);
    const double length = norm(gradient);
    ASSERT_GT(length, 0.0) << full_name(site);
    const double measured = slope(
        [&](double step) {
          HostTensor moved(value.shape());
          for (int64_t i = 0; i < value.size(); ++i)
            moved.mutable_values()[static_cast<size_t>(i)] =
                static_cast<float>(value.data()[i] + step / length * gradient.data()[i]);
          return answer_of(*opened_, with_value(run_, spec, site, moved), loss_);
        },
        movement / length);
    EXPECT_NEAR(measured / length, 1.0, slope_tolerance) << full_name(site) << ", slope " << length;
  }
}

// v enters linearly: sum v . dv = sum z . dz. A head's map enters through z alone: moving a column of it by
// `column-scale` measures p G. Stretching q, or k, stretches the scores: the slope of `temperature`.
TEST_P(GradientOfFamily, gradients_inside_attention_agree_with_edits_of_the_map) {
  const ModelSpec& spec = opened_->model->spec();
  GradientRequest request = question(run_, loss_);
  const int32_t l = 0;
  for (const HookSite site : {HookSite::q, HookSite::k, HookSite::v, HookSite::z, HookSite::pattern})
    request.sites.push_back({site, l});
  const auto made = gradients(request);
  ASSERT_TRUE(made);
  const auto by_site = [&](HookSite site) {
    return dot(made->values.at({site, l}), made->gradients.at({site, l}));
  };
  const double scale = norm(made->values.at({HookSite::z, l})) * norm(made->gradients.at({HookSite::z, l}));
  EXPECT_NEAR(by_site(HookSite::v), by_site(HookSite::z), 1e-4 * scale);
  EXPECT_NEAR(by_site(HookSite::pattern), by_site(HookSite::z), 1e-4 * scale);
  EXPECT_NEAR(by_site(HookSite::q), by_site(HookSite::k), 1e-4 * scale);
  const auto edited = [&](const std::string& verb, double by) {
    RunRequest run = run_;
    run.edits.push_back(parse_edit(fmt::format("{} by={}", verb, by)).value());
    return answer_of(*opened_, run, loss_);
  };
  const HostTensor &p = made->values.at({HookSite::pattern, l}),
                   &g = made->gradients.at({HookSite::pattern, l});
  const int64_t n = p.shape()[1];
  double expected = 0.0, size = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    expected += static_cast<double>(p.at({1, i, 2})) * g.at({1, i, 2});
    size += std::abs(static_cast<double>(p.at({1, i, 2})) * g.at({1, i, 2}));
  }
  // A router that changes its mind within the step has no slope: the smaller, the rarer.
  const double step = spec.experts.n_expert > 0 ? 0.003 : movement;
  const double column = slope([&](double by) { return edited("column-scale 0.1 key=2", 1.0 + by); },
                              step / std::max(size, 1.0));
  EXPECT_NEAR(column, expected, slope_tolerance * size + logit_noise);
  if (spec.attention_softcap > 0.0 || !spec.alibi_slopes.empty()) return;  // temperature stretches these too
  const double hot = slope([&](double by) { return edited("temperature 0.*", 1.0 / (1.0 + by)); },
                           step / std::max(scale, 1.0));
  EXPECT_NEAR(hot, by_site(HookSite::q), slope_tolerance * scale + logit_noise);
}

// What the parts of a layer read sums to what the residual carries besides itself.
TEST_P(GradientOfFamily, the_reads_of_a_layer_sum_to_the_gradient_of_its_residual) {
  const ModelSpec& spec = opened_->model->spec();
  GradientRequest request = question(run_, loss_);
  const int32_t l = spec.n_layer - 1;
  request.reads = true;
  request.sites = {{HookSite::resid_pre, l}, {HookSite::resid_mid, l}};
  const auto made = gradients(request);
  ASSERT_TRUE(made);
  const HostTensor& whole = made->gradients.at({HookSite::resid_pre, l});
  const LayerReads& reads = made->reads.at(static_cast<size_t>(l));
  const bool beside = spec.block == BlockKind::parallel && spec.d_mlp > 0;
  for (int64_t i = 0; i < whole.shape()[0]; ++i)
    for (int64_t d = 0; d < spec.d_model; ++d) {
      double sum = made->gradients.at({HookSite::resid_mid, l}).at({i, d});
      for (const HostTensor* part : {&reads.q, &reads.k, &reads.v})
        for (int64_t h = 0; h < part->shape()[1]; ++h) sum += part->at({i, h, d});
      if (beside) sum += reads.mlp.at({i, d});
      ASSERT_NEAR(whole.at({i, d}), sum, 2e-5 * norm(whole)) << i << ' ' << d;
    }
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures::golden("")))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}
INSTANTIATE_TEST_SUITE_P(Goldens, GradientOfFamily, testing::ValuesIn(families()),
                         [](const auto& info) { return info.param; });

const fixtures::Opened& llama() {
  static const fixtures::Opened opened = open("mistral");
  return opened;
}

class GradientUnderEdit : public testing::TestWithParam<const char*> {};

// largest_difference compares every edited layer with the kernels; the slope of resid_pre goes through all.
TEST_P(GradientUnderEdit, the_edited_run_is_what_is_differentiated) {
  const auto& opened = llama();
  const ModelSpec& spec = opened.model->spec();
  const RunRequest run = fixtures::request(opened, some_ids(9, spec.n_vocab), {GetParam()});
  GradientRequest request = question(run, true);
  const SiteRef site{HookSite::embed, -1};
  request.sites = {site};
  const auto made = opened.runner->gradients(request, nullptr, {});
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  EXPECT_LE((*made)->largest_difference, 1e-5);
  const HostTensor &value = (*made)->values.at(site), &gradient = (*made)->gradients.at(site);
  const double length = norm(gradient);
  const double measured = slope(
      [&](double step) {
        HostTensor moved(value.shape());
        for (int64_t i = 0; i < value.size(); ++i)
          moved.mutable_values()[static_cast<size_t>(i)] =
              static_cast<float>(value.data()[i] + step / length * gradient.data()[i]);
        return answer_of(opened, with_value(run, spec, site, moved), true);
      },
      movement / length);
  EXPECT_NEAR(measured / length, 1.0, slope_tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Verbs, GradientUnderEdit,
    testing::Values("zero 0.1", "scale 1.* by=0.5", "offset 0.0 add=0.1,0.2,0.1,0.2,0.1,0.2,0.1,0.2",
                    "scale blocks.1.hook_resid_pre by=0.7", "zero blocks.0.hook_mlp_out",
                    "knockout 0.1 query=4 key=2", "temperature 0.* by=0.5", "bias 0.1 by=2 key=1:4",
                    "boost 0.1 by=0.7 key=1:4", "stream 0.* sink=1 recent=3", "uniform 0.* by=0.5",
                    "uniform 0.1 by=1", "identity 0.* by=0.4", "force 0.1 key=1,3 by=0.5",
                    "column-scale 0.1 key=0 by=0.4", "column-scale 0.1 key=0 by=0.4 renormalise=yes",
                    "redistribute 0.1 key=0 to=rest by=0.4", "power 0.1 by=2", "power 0.1 by=0.5",
                    "sharpen 0.1 by=3"));

TEST(Gradient, edits_of_values_keep_what_other_runs_and_factors_leave) {
  const auto& opened = llama();
  const ModelSpec& spec = opened.model->spec();
  const RunRequest run = fixtures::request(opened, some_ids(6, spec.n_vocab));
  const auto gradient_at_entry = [&](const std::vector<std::string>& edits) {
    GradientRequest request = question(fixtures::request(opened, some_ids(6, spec.n_vocab), edits), false);
    request.sites = {{HookSite::resid_post, 0}, {HookSite::resid_pre, 1}};
    return opened.runner->gradients(request, nullptr, {}).value();
  };
  const auto scaled = gradient_at_entry({"scale blocks.1.hook_resid_pre by=0.25"});
  EXPECT_NEAR(norm(scaled->gradients.at({HookSite::resid_post, 0})),
              0.25 * norm(scaled->gradients.at({HookSite::resid_pre, 1})), 1e-6);
  const auto gone = gradient_at_entry({"zero blocks.1.hook_resid_pre"});
  EXPECT_EQ(norm(gone->gradients.at({HookSite::resid_post, 0})), 0.0);
}

TEST(Gradient, kinds_of_terms_are_what_their_names_say) {
  const std::vector<float> logits{1.0F, 2.0F, 0.5F};
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(0.5);
  const double p0 = std::exp(1.0) / sum, p1 = std::exp(2.0) / sum, p2 = std::exp(0.5) / sum;
  const auto one = [&](const ScalarTerm& term) {
    std::vector<float> gradient(3, 0.0F);
    std::vector<double> value(1);
    const std::vector<const ScalarTerm*> terms{&term};
    scalar_of(logits, terms, gradient, value);
    return std::pair(value[0], gradient);
  };
  const auto [logit, logit_slope] = one({ScalarKind::logit, 2.0, 0, {0, 2}});
  EXPECT_DOUBLE_EQ(logit, 3.0);
  EXPECT_THAT(logit_slope, testing::ElementsAre(2.0F, 0.0F, 2.0F));
  const auto [nats, nats_slope] = one({ScalarKind::log_probability, -1.0, 0, {1}});
  EXPECT_NEAR(nats, -std::log(p1), 1e-12);
  EXPECT_NEAR(nats_slope[0], p0, 1e-6);
  EXPECT_NEAR(nats_slope[1], p1 - 1.0, 1e-6);
  const auto [probability, probability_slope] = one({ScalarKind::probability, 1.0, 0, {0, 1}});
  EXPECT_NEAR(probability, p0 + p1, 1e-12);
  EXPECT_NEAR(probability_slope[2], -p2 * (p0 + p1), 1e-6);
  EXPECT_NEAR(probability_slope[0], p0 * (1.0 - p0 - p1), 1e-6);
}

TEST(Gradient, what_cannot_be_differentiated_is_refused_with_its_reason) {
  const auto& opened = llama();
  const auto refusal = [&](const std::function<void(GradientRequest&)>& spoil) {
    GradientRequest request =
        question(fixtures::request(opened, some_ids(6, opened.model->spec().n_vocab)), false);
    spoil(request);
    const auto made = opened.runner->gradients(request, nullptr, {});
    return made.ok() ? std::string("accepted") : made.error().to_string();
  };
  EXPECT_EQ(refusal([](GradientRequest&) {}), "accepted");
  EXPECT_THAT(refusal([](GradientRequest& r) { r.scalar.clear(); }), HasSubstr("name logits or tokens"));
  EXPECT_THAT(refusal([](GradientRequest& r) { r.scalar[0].position = 6; }), HasSubstr("6 tokens"));
  EXPECT_THAT(refusal([](GradientRequest& r) { r.scalar[0].ids = {1 << 20}; }), HasSubstr("there are 0-"));
  EXPECT_THAT(refusal([](GradientRequest& r) {
                r.sites = {{HookSite::ln1_scale, 0}};
              }),
              HasSubstr("blocks.0.ln1.hook_scale"));
  EXPECT_THAT(refusal([](GradientRequest& r) { r.sites = {{HookSite::z, 99}}; }), HasSubstr("does not pass"));
  EXPECT_THAT(refusal([](GradientRequest& r) { r.run.dtype = "bf16"; }), HasSubstr("computed in f32"));
  EXPECT_THAT(refusal([](GradientRequest& r) { r.run.edits = {parse_edit("gate 0.* keep=2").value()}; }),
              HasSubstr("jumps with the queries"));
  EXPECT_THAT(
      refusal([](GradientRequest& r) { r.run.edits = {parse_edit("mean 0.* over=positions").value()}; }),
      HasSubstr("take it from another run"));
}

TEST(Gradient, a_cancelled_job_stops_and_progress_ends_at_one) {
  const auto& opened = llama();
  const GradientRequest request =
      question(fixtures::request(opened, some_ids(6, opened.model->spec().n_vocab)), false);
  JobContext job;
  double reached = 0.0;
  job.on_progress = [&](double fraction, std::string_view) {
    EXPECT_GE(fraction, reached);
    reached = fraction;
  };
  ASSERT_TRUE(opened.runner->gradients(request, nullptr, job).ok());
  EXPECT_EQ(reached, 1.0);
  job.on_progress = [&](double fraction, std::string_view) {
    if (fraction > 0.5) job.cancel.cancel();
  };
  const auto stopped = opened.runner->gradients(request, nullptr, job);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace saccade
