// composition: how much of what an earlier head writes a later head's queries, keys and values read, from the
// weights alone (Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Composition").
//
// Row-vector convention, QK = W_Q W_K^T, OV = W_V W_O, both [d, d]; an earlier head 1, a later head 2:
//   Q = |OV_1 QK_2|_F / (|OV_1|_F |QK_2|_F)   K = |QK_2 OV_1^T|_F / (the same)   V = |OV_1 OV_2|_F / (|OV_1|
//   |OV_2|)
// minus the mean of the same for random matrices of these shapes. Each is a product A C B^T with a [d_head,
// d_head] core C, so that |A C B^T|^2 = tr(A^T A C B^T B C^T) and no [d, d] matrix is made. The gain of the
// norm before attention is folded in; rotation and biases are not.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"
#include "core/model/weight_reader.h"
#include "core/run/linear_algebra.h"

namespace saccade {
namespace {

using Matrix = std::vector<double>;  // square, [d_head, d_head]
constexpr int draws = 16;

MethodInfo make_info() {
  MethodInfo info;
  info.id = "composition";
  info.title = "Which heads read which heads, by weights";
  info.summary =
      "Scores every pair of an earlier and a later head by how much of the earlier one's writing the later "
      "one's "
      "queries, keys and values can read, above what random matrices give.";
  info.citation =
      "Elhage et al. 2021 (A Mathematical Framework for Transformer Circuits), Q-, K- and V-composition";
  info.parameters = {{"edges", "Edges", "The strongest to list.", 200, 1, 100000},
                     {"seed", "Seed", "Of the random matrices.", 0, 0, 1e9}};
  return info;
}

// A^T A of a [d, d_head] matrix.
Matrix gram(const HostTensor& a) {
  const int64_t d = a.shape()[0], k = a.shape()[1];
  Matrix g(static_cast<size_t>(k * k));
  for (int64_t row = 0; row < d; ++row)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j)
        g[static_cast<size_t>(i * k + j)] +=
            static_cast<double>(a.data()[row * k + i]) * a.data()[row * k + j];
  return g;
}

double trace_of_product(const Matrix& a, const Matrix& b) {  // tr(A B), both symmetric
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// |A C B^T|_F with the Grams of A and B; c has `stride` numbers from row to row.
double norm_of(const Matrix& left, const float* c, int64_t stride, const Matrix& right, int64_t k) {
  double sum = 0.0;
  Matrix half(static_cast<size_t>(k * k));  // G_A C
  for (int64_t i = 0; i < k; ++i)
    for (int64_t m = 0; m < k; ++m) {
      const double g = left[static_cast<size_t>(i * k + m)];
      for (int64_t j = 0; j < k; ++j) half[static_cast<size_t>(i * k + j)] += g * c[m * stride + j];
    }
  for (int64_t i = 0; i < k; ++i)  // tr(G_A C G_B C^T)
    for (int64_t j = 0; j < k; ++j) {
      double other = 0.0;  // (C G_B)[i, j]
      for (int64_t m = 0; m < k; ++m)
        other += static_cast<double>(c[i * stride + m]) * right[static_cast<size_t>(m * k + j)];
      sum += half[static_cast<size_t>(i * k + j)] * other;
    }
  return std::sqrt(std::max(sum, 0.0));
}

struct Head {
  Matrix query, key, value, output;  // Grams; of the output W_O W_O^T
  double qk = 0.0, ov = 0.0;         // norms
};

// A layer's heads side by side: [d, heads * d_head]; the output [heads * d_head, d].
struct Layer {
  HostTensor query, key, value, output;
  std::vector<Head> heads;
};

class Compositions {
 public:
  explicit Compositions(const MethodInput& input) : reader_(input.model), spec_(input.model->spec()) {}

  [[nodiscard]] Layer read(int32_t layer) const {
    const int64_t heads = spec_.n_head, k = spec_.d_head, d = spec_.d_model;
    Layer made{HostTensor({d, heads * k}),
               HostTensor({d, heads * k}),
               HostTensor({d, heads * k}),
               HostTensor({heads * k, d}),
               {}};
    const HostTensor gain = spec_.block == BlockKind::post_norm ? HostTensor() : reader_.norm1_weight(layer);
    for (int32_t h = 0; h < spec_.n_head; ++h) {
      const HeadId head{LayerIndex{layer}, HeadIndex{h}};
      Head numbers;
      const auto put = [&](HostTensor one, HostTensor& all, Matrix& of) {
        for (int64_t row = 0; row < d; ++row)
          for (int64_t c = 0; c < k; ++c) {
            float& value = one.mutable_values()[static_cast<size_t>(row * k + c)];
            if (!gain.empty()) value *= gain.data()[row];
            all.mutable_values()[static_cast<size_t>(row * heads * k + h * k + c)] = value;
          }
        of = gram(one);
      };
      put(reader_.query(head), made.query, numbers.query);
      put(reader_.key(head), made.key, numbers.key);
      put(reader_.value(head), made.value, numbers.value);
      const HostTensor output = reader_.output(head);
      std::copy_n(output.data(), k * d, made.output.mutable_values().data() + h * k * d);
      numbers.output = gram(transposed(output));
      numbers.qk = std::sqrt(trace_of_product(numbers.query, numbers.key));
      numbers.ov = std::sqrt(trace_of_product(numbers.value, numbers.output));
      made.heads.push_back(std::move(numbers));
    }
    return made;
  }

  // What random matrices of these shapes give on average.
  [[nodiscard]] Result<double> random_level(uint64_t seed) const {
    const int64_t k = spec_.d_head, d = spec_.d_model;
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    double sum = 0.0;
    for (int draw = 0; draw < draws; ++draw) {
      std::array<HostTensor, 4> x;  // A, then the core's factors, then B
      for (HostTensor& one : x) {
        one = HostTensor({d, k}, false);
        std::generate(one.mutable_values().begin(), one.mutable_values().end(),
                      [&] { return normal(random); });
      }
      SACCADE_TRY(const HostTensor core, product(transposed(x[1]), x[2]));
      const std::array<Matrix, 4> g{gram(x[0]), gram(x[1]), gram(x[2]), gram(x[3])};
      sum += norm_of(g[0], core.data(), k, g[3], k) /
             std::sqrt(trace_of_product(g[0], g[1]) * trace_of_product(g[2], g[3]));
    }
    return sum / draws;
  }

 private:
  WeightReader reader_;
  const ModelSpec& spec_;
};

struct Edge {
  HeadId from, to;
  char part = 'q';
  double score = 0.0;
};

class CompositionMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_CHECK(require_model(input, "composition"));
    const ModelSpec& spec = input.model->spec();
    const Compositions weights(input);
    if (WeightReader(input.model).has_output_norms())
      return make_error(
          ErrorCode::unsupported,
          fmt::format("{} normalises what its heads write before it is added, so that weights alone do "
                      "not say how much of it is read",
                      input.model->name()));
    if (spec.n_layer < 2)
      return make_error(
          ErrorCode::unsupported,
          fmt::format("{} has one layer of attention: no head reads another", input.model->name()));
    SACCADE_TRY(const double level, weights.random_level(input.parameters["seed"].get<uint64_t>()));
    std::vector<Edge> edges;
    const int64_t pairs = int64_t{spec.n_layer} * (spec.n_layer - 1) / 2;
    int64_t done = 0;
    bool partial = false;
    for (int32_t later = 1; later < spec.n_layer && !partial; ++later) {
      const Layer reads = weights.read(later);
      for (int32_t earlier = 0; earlier < later; ++earlier, ++done) {
        job.progress(static_cast<double>(done) / static_cast<double>(pairs),
                     fmt::format("layer {} read by layer {}", earlier, later));
        if (job.cancelled()) {
          partial = true;
          break;
        }
        SACCADE_CHECK(add(spec, weights.read(earlier), earlier, reads, later, level, edges));
      }
    }
    if (edges.empty()) return make_error(ErrorCode::cancelled, "cancelled");
    return result_of(input, std::move(edges), level, partial);
  }

 private:
  static Result<void> add(const ModelSpec& spec, const Layer& writes, int32_t earlier, const Layer& reads,
                          int32_t later, double level, std::vector<Edge>& edges) {
    const int64_t k = spec.d_head, width = spec.n_head * k;
    struct Reading {
      char part;
      const HostTensor* weights;
      Matrix Head::*right;
      double Head::*norm;
    };
    for (const Reading& reading : {Reading{'q', &reads.query, &Head::key, &Head::qk},
                                   Reading{'k', &reads.key, &Head::query, &Head::qk},
                                   Reading{'v', &reads.value, &Head::output, &Head::ov}}) {
      SACCADE_TRY(const HostTensor cores, product(writes.output, *reading.weights));  // W_O of 1 times W of 2
      for (int32_t from = 0; from < spec.n_head; ++from)
        for (int32_t to = 0; to < spec.n_head; ++to) {
          const Head &one = writes.heads[static_cast<size_t>(from)],
                     &two = reads.heads[static_cast<size_t>(to)];
          const double size = one.ov * two.*reading.norm;
          if (size <= 0.0) continue;
          const double norm =
              norm_of(one.value, cores.data() + from * k * width + to * k, width, two.*reading.right, k);
          edges.push_back({{LayerIndex{earlier}, HeadIndex{from}},
                           {LayerIndex{later}, HeadIndex{to}},
                           reading.part,
                           norm / size - level});
        }
    }
    return {};
  }

  AnalysisResult result_of(const MethodInput& input, std::vector<Edge> edges, double level,
                           bool partial) const {
    const ModelSpec& spec = input.model->spec();
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.partial = partial;
    result.requests = {input.base.digest()};
    for (const char part : {'q', 'k', 'v'}) {
      const char big = static_cast<char>(part - 'a' + 'A');
      Field field =
          head_field(fmt::format("{}_composition", part),
                     fmt::format("Strongest {}-composition with an earlier head, above random", big), "",
                     ValueKind::signed_difference, spec.n_layer, spec.n_head, input.base.digest());
      auto values = field.values.mutable_values();
      std::fill(values.begin(), values.end(), std::numeric_limits<float>::quiet_NaN());
      const Edge* best = nullptr;
      for (const Edge& edge : edges) {
        if (edge.part != part) continue;
        float& value =
            values[static_cast<size_t>(int64_t{edge.to.layer.value} * spec.n_head + edge.to.head.value)];
        if (!(value >= static_cast<float>(edge.score))) value = static_cast<float>(edge.score);
        if (best == nullptr || edge.score > best->score) best = &edge;
      }
      result.fields.push_back(std::move(field));
      if (best != nullptr)
        result.findings.push_back(fmt::format(
            "{}-composition is strongest from {} to {}: {:.3f} above the {:.3f} of random matrices.", big,
            to_string(best->from), to_string(best->to), best->score, level));
    }
    result.findings.emplace_back(
        "Weights say what a head can read, not whether it does on a prompt: path-patching measures that.");
    std::stable_sort(edges.begin(), edges.end(),
                     [](const Edge& a, const Edge& b) { return std::abs(a.score) > std::abs(b.score); });
    edges.resize(std::min(edges.size(), input.parameters["edges"].get<size_t>()));
    Table table{"edges", {"from", "to", "effect"}, {}};
    for (const Edge& edge : edges)
      table.rows.push_back(
          {to_string(edge.from), fmt::format("{}.{}", to_string(edge.to), edge.part), edge.score});
    result.tables = {heads_table(result.fields), std::move(table)};
    return result;
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_composition() { return std::make_unique<CompositionMethod>(); }

}  // namespace saccade
