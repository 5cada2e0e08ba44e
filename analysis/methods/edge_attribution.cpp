#include "analysis/methods/edge_attribution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

// A write or a reading, [pos * d_model], and where it stands: a write of stage s reaches readings of later
// stages. Layer l: heads are stage 2 l, its MLP 2 l + 1; beside each other in a parallel block.
struct Node {
  std::string name;
  int32_t stage = 0;
  std::vector<float> values;
};

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// One head's rows of [pos, head, d_model].
std::vector<float> rows_of(const HostTensor& x, int64_t head) {
  const int64_t heads = x.shape()[1], width = x.shape()[2];
  std::vector<float> made;
  made.reserve(static_cast<size_t>(x.shape()[0] * width));
  for (int64_t i = 0; i < x.shape()[0]; ++i) {
    const float* row = x.data() + (i * heads + head) * width;
    made.insert(made.end(), row, row + width);
  }
  return made;
}

std::vector<float> all_of(const HostTensor& x) { return {x.values().begin(), x.values().end()}; }

std::vector<float> difference(std::vector<float> a, const std::vector<float>& b, double factor = 1.0) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(factor * (a[i] - b[i]));
  return a;
}

int32_t mlp_stage(const ModelSpec& spec, int32_t l) {
  return 2 * l + (spec.block == BlockKind::parallel ? 0 : 1);
}

std::vector<Node> senders(const ModelSpec& spec, const Capture& clean, const Capture& corrupt) {
  std::vector<Node> nodes;
  const auto put = [&](const std::string& name, int32_t stage) {
    nodes.push_back({name, stage, EdgeAttribution::write_change(spec, clean, corrupt, name)});
  };
  put("embed", -1);
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    for (int32_t h = 0; h < spec.n_head; ++h) put(fmt::format("{}.{}", l, h), 2 * l);
    if (spec.d_mlp > 0) put(fmt::format("mlp {}", l), mlp_stage(spec, l));
  }
  return nodes;
}

// The mean over gradients of what `part` picks out of each.
template <class Part>
std::vector<float> mean_of(const std::vector<const GradientCapture*>& gradients, const Part& part) {
  std::vector<float> mean = part(*gradients[0]);
  for (size_t g = 1; g < gradients.size(); ++g) {
    const std::vector<float> other = part(*gradients[g]);
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += other[i];
  }
  for (float& value : mean) value /= static_cast<float>(gradients.size());
  return mean;
}

std::vector<Node> receivers(const ModelSpec& spec, const std::vector<const GradientCapture*>& gradients) {
  std::vector<Node> nodes;
  const int64_t group = spec.n_head / spec.n_kv_head;
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    const auto read = [l](const GradientCapture& g) -> const LayerReads& {
      return g.reads[static_cast<size_t>(l)];
    };
    const auto heads = [&](HostTensor LayerReads::*part, int64_t count, int64_t step, char name) {
      for (int64_t h = 0; h < count; ++h)
        nodes.push_back(
            {fmt::format("{}.{}.{}", l, h * step, name), 2 * l,
             mean_of(gradients, [&](const GradientCapture& g) { return rows_of(read(g).*part, h); })});
    };
    heads(&LayerReads::q, spec.n_head, 1, 'q');
    heads(&LayerReads::k, spec.n_kv_head, group, 'k');
    heads(&LayerReads::v, spec.n_kv_head, group, 'v');
    if (spec.d_mlp > 0)
      nodes.push_back({fmt::format("mlp {}", l), mlp_stage(spec, l),
                       mean_of(gradients, [&](const GradientCapture& g) { return all_of(read(g).mlp); })});
  }
  nodes.push_back({"logits", 2 * spec.n_layer, mean_of(gradients, [](const GradientCapture& g) {
                     return all_of(g.final_resid_gradient);
                   })});
  return nodes;
}

}  // namespace

std::string EdgeAttribution::refusal(const Model& model) {
  const bool normed = model.weights().get(Slot::attn_out_norm_weight, 0).tensor != nullptr;
  if (model.spec().block != BlockKind::post_norm && !normed) return "";
  return fmt::format(
      "{} normalises what its heads write before it is added, so that their writes cannot be told "
      "apart in the residual: no edges, only nodes.",
      model.name());
}

std::vector<SiteRef> EdgeAttribution::sites(const ModelSpec& spec) {
  std::vector<SiteRef> sites{{HookSite::resid_pre, 0}};
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    sites.push_back({HookSite::result, l});
    if (spec.d_mlp > 0) sites.push_back({HookSite::mlp_out, l});
  }
  return sites;
}

int64_t EdgeAttribution::bytes(const ModelSpec& spec, int64_t n) {
  return static_cast<int64_t>(sizeof(float)) * spec.n_layer * n * spec.d_model *
         (spec.n_head + 2 * int64_t{spec.n_kv_head} + 1);
}

std::vector<float> EdgeAttribution::write_change(const ModelSpec& spec, const Capture& clean,
                                                 const Capture& corrupt, const std::string& sender) {
  const auto change = [&](SiteRef site, int64_t head, double factor) {
    const HostTensor &now = corrupt.sites.at(site), &before = clean.sites.at(site);
    return head < 0 ? difference(all_of(now), all_of(before), factor)
                    : difference(rows_of(now, head), rows_of(before, head), factor);
  };
  if (sender == "embed") return change({HookSite::resid_pre, 0}, -1, 1.0);
  if (sender.starts_with("mlp ")) return change({HookSite::mlp_out, std::stoi(sender.substr(4))}, -1, 1.0);
  const size_t dot = sender.find('.');
  return change({HookSite::result, std::stoi(sender.substr(0, dot))}, std::stoi(sender.substr(dot + 1)),
                spec.residual_scale);
}

Result<void> EdgeAttribution::add(const Capture& clean, const Capture& corrupt,
                                  const std::vector<const GradientCapture*>& gradients, double scale,
                                  const JobContext& job) {
  const std::vector<Node> from = senders(spec_, clean, corrupt), to = receivers(spec_, gradients);
  for (const Node& sender : from) {
    SACCADE_CHECK(job.check());
    for (const Node& receiver : to)
      if (receiver.stage > sender.stage)
        sums_[{sender.name, receiver.name}] += dot(sender.values, receiver.values) / scale;
  }
  ++pairs_;
  return {};
}

std::vector<EdgeAttribution::Effect> EdgeAttribution::strongest(size_t most) const {
  std::vector<Effect> all;
  for (const auto& [edge, sum] : sums_)
    all.push_back({edge.first, edge.second, sum / static_cast<double>(pairs_)});
  std::stable_sort(all.begin(), all.end(),
                   [](const Effect& a, const Effect& b) { return std::abs(a.value) > std::abs(b.value); });
  all.resize(std::min(all.size(), most));
  return all;
}

}  // namespace saccade
