// Names in a dump that writer and reader share. The layout is core/capture/FORMAT.md. Private to
// core/capture.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/capture/capture.h"

namespace saccade::dump {

inline constexpr std::string_view type = "saccade-dump";
inline constexpr int64_t version = 2, oldest_version = 1;

inline constexpr const char* ids = "tokens/ids";
inline constexpr const char* texts = "tokens/text";
inline constexpr const char* begin = "tokens/begin";
inline constexpr const char* end = "tokens/end";
inline constexpr const char* special = "tokens/special";
inline constexpr const char* edits = "provenance/edits";
inline constexpr const char* sites = "provenance/sites";
inline constexpr const char* last_logits = "logits/last";
inline constexpr const char* loss = "loss";
inline constexpr const char* knockouts = "knockouts";
inline constexpr const char* plans = "edits/plans";    // one JSON text per edited head
inline constexpr const char* blocks = "edits/blocks";  // the numbers its blocks point into
// The factors of all edited heads under each other, in the order of the plans: [factor, query].
inline constexpr const char* row_factors = "edits/row_factors";
inline constexpr const char* key_sets = "statistics/key_sets";      // their names
inline constexpr const char* key_masses = "statistics/key_masses";  // .../0 is that of the first name
inline constexpr const char* block_max = "statistics/block_max";
inline constexpr const char* block_mass = "statistics/block_mass";
inline constexpr const char* max_key = "statistics/max_key";

// The float32 statistics, [layer, head, query] or [layer, head, key].
struct Statistic {
  const char* name;
  HostTensor HeadStatistics::*values;
  std::string_view position_axis;
};
inline constexpr std::array<Statistic, 8> statistics{{
    {"statistics/entropy", &HeadStatistics::entropy, "query"},
    {"statistics/max_weight", &HeadStatistics::max_weight, "query"},
    {"statistics/sink_mass", &HeadStatistics::sink_mass, "query"},
    {"statistics/local_mass", &HeadStatistics::local_mass, "query"},
    {"statistics/mean_distance", &HeadStatistics::mean_distance, "query"},
    {"statistics/value_mass", &HeadStatistics::value_mass, "query"},
    {"statistics/received", &HeadStatistics::received, "key"},
    {"statistics/received_max", &HeadStatistics::received_max, "key"},
}};

// Root attributes that hold Provenance.
struct Text {
  const char* name;
  std::string Provenance::*text;
};
inline constexpr std::array<Text, 10> provenance{{
    {"request", &Provenance::request},
    {"model_name", &Provenance::model_name},
    {"model_where", &Provenance::model_where},
    {"model_digest", &Provenance::model_digest},
    {"prompt", &Provenance::prompt},
    {"kernels", &Provenance::kernels},
    {"dtype", &Provenance::dtype},
    {"device", &Provenance::device},
    {"program", &Provenance::program},
    {"created", &Provenance::created},
}};

[[nodiscard]] inline std::string lse(int32_t layer) {
  return "blocks." + std::to_string(layer) + ".attn.lse";
}
// Where segments of the prompt have no order: their bounds, and how far queries moved them.
[[nodiscard]] inline std::string segments(int32_t layer) {
  return "blocks." + std::to_string(layer) + ".attn.segments";
}
// Where tokens stand for the rotation, where that is not their place.
[[nodiscard]] inline std::string positions(int32_t layer) {
  return "blocks." + std::to_string(layer) + ".attn.positions";
}
[[nodiscard]] inline std::string segment_shifts(int32_t layer) {
  return "blocks." + std::to_string(layer) + ".attn.segment_shifts";
}
// The residual that leaves the last block.
[[nodiscard]] inline SiteRef final_resid(const ModelSpec& spec) {
  return {HookSite::resid_post, spec.n_layer - 1};
}

}  // namespace saccade::dump
