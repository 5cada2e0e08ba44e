#include "analysis/methods/exact_edges.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "analysis/methods/edge_attribution.h"
#include "core/base/digest.h"

namespace saccade {
namespace {

// The layer of an edge's end in an MLP; -1 where it ends elsewhere.
int32_t mlp_of(const Edge& edge) {
  if (!edge.to.starts_with("mlp ")) return -1;
  int32_t layer = -1;
  std::from_chars(edge.to.data() + 4, edge.to.data() + edge.to.size(), layer);
  return layer;
}

HostTensor sum_of(const HostTensor& residual, const std::vector<float>& change) {
  HostTensor sum(residual.shape(), false);
  std::transform(residual.values().begin(), residual.values().end(), change.begin(),
                 sum.mutable_values().begin(), [](float a, float b) { return a + b; });
  return sum;
}

const HostTensor& residual_before(const Capture& capture, int32_t layer, int32_t n_layer) {
  return layer < n_layer ? capture.layers[static_cast<size_t>(layer)]->resid_pre : capture.final_resid;
}

struct Replacement {
  SiteRef site;
  HostTensor values;
  std::string edit;
};

}  // namespace

bool ExactEdges::possible(const Edge& edge) const {
  return spec_.block != BlockKind::parallel || mlp_of(edge) != 0;
}

std::vector<int32_t> ExactEdges::mlps_read() const {
  std::set<int32_t> layers;
  for (const Edge& edge : edges_)
    if (mlp_of(edge) >= 0 && possible(edge)) layers.insert(mlp_of(edge));
  return {layers.begin(), layers.end()};
}

// Every row of every edge into an MLP is a write beside the layer's attention, which that MLP alone reads;
// where MLPs stand beside the attention, a write of the layer before.
PathQuestion ExactEdges::question(const Run& clean, const Run& corrupt) const {
  PathQuestion question;
  const int64_t n = clean.capture->n_token(), d = spec_.d_model;
  const bool parallel = spec_.block == BlockKind::parallel;
  for (const Edge& edge : edges_) {
    const int32_t layer = mlp_of(edge);
    if (layer < 0 || !possible(edge)) continue;
    const std::vector<float> change =
        EdgeAttribution::write_change(spec_, *clean.capture, *corrupt.capture, edge.from);
    for (int64_t row = 0; row < n; ++row)
      question.writes.push_back({parallel ? layer - 1 : layer, row,
                                 std::vector<float>(change.begin() + row * d, change.begin() + (row + 1) * d),
                                 parallel});
  }
  question.free_mlps = mlps_read();
  for (const int32_t layer : question.free_mlps) question.layers.push_back(layer + 1);
  return question;
}

Result<std::vector<RunRequest>> ExactEdges::requests(const Run& clean, const Run& corrupt,
                                                     const HostTensor* residuals) const {
  std::vector<RunRequest> requests;
  const Capture& capture = *clean.capture;
  const int64_t n = capture.n_token(), d = spec_.d_model;
  const std::vector<int32_t> mlps = mlps_read();  // as the question has them
  int64_t asked = 0;                              // rows of `residuals` gone through
  for (const Edge& edge : edges_) {
    if (!possible(edge)) {
      requests.push_back(clean.request);
      requests.back().capture = {};
      continue;
    }
    const std::vector<float> change =
        EdgeAttribution::write_change(spec_, capture, *corrupt.capture, edge.from);
    Replacement made;
    if (const int32_t layer = mlp_of(edge); layer >= 0) {
      if (residuals == nullptr)
        return make_error(ErrorCode::internal, "an edge into an MLP was not asked for");
      const auto slot = std::find(mlps.begin(), mlps.end(), layer) - mlps.begin();
      const HostTensor& after = residual_before(capture, layer + 1, spec_.n_layer);
      made.site = {HookSite::mlp_out, layer};
      const HostTensor& own = capture.sites.at(made.site);
      made.values = HostTensor(own.shape(), false);
      float* to = made.values.mutable_values().data();
      for (int64_t row = 0; row < n; ++row, ++asked) {
        const float* now = residuals->slice(asked).data() + slot * d;
        for (int64_t c = 0; c < d; ++c) {
          const auto at = static_cast<size_t>(row * d + c);
          to[at] = own.values()[at] + (now[c] - after.values()[at] - change[at]);
        }
      }
      made.edit = fmt::format("replace {} from=edge", full_name(made.site));
    } else if (edge.to == "logits") {
      made.site = {HookSite::resid_post, spec_.n_layer - 1};
      made.values = sum_of(capture.final_resid, change);
      made.edit = fmt::format("replace {} from=edge", full_name(made.site));
    } else {
      const size_t dot = edge.to.rfind('.');
      SACCADE_TRY(const HeadId head, parse_head(edge.to.substr(0, dot)));
      made.site = {HookSite::resid_pre, head.layer.value};
      made.values = sum_of(residual_before(capture, head.layer.value, spec_.n_layer), change);
      made.edit = fmt::format("replace {} from=edge at={}_input", to_string(head), edge.to.substr(dot + 1));
    }
    auto edited = std::make_shared<Capture>();
    edited->spec = capture.spec;
    edited->tokens = capture.tokens;
    edited->provenance = capture.provenance;
    edited->provenance.request = Digest()
                                     .add("edge")
                                     .add(capture.provenance.request)
                                     .add(corrupt.capture->provenance.request)
                                     .add(edge.from)
                                     .add(edge.to)
                                     .hex();
    edited->sites[made.site] = std::move(made.values);
    RunRequest request = clean.request;
    request.capture = {};
    request.references["edge"] = std::move(edited);
    SACCADE_TRY(Edit edit, parse_edit(made.edit));
    request.edits.push_back(std::move(edit));
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace saccade
