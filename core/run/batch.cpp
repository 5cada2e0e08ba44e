// Runner::answers(): many requests through the layers together.
//
// Rows of all sequences lie one after another, so that every matrix is read once for all of them. Requests of
// the same tokens travel as one "trunk" until their edits part them: before a layer when its attention
// changes, else after it, at z. In the last layer only the rows go on that the answer is read from.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/model/visibility.h"
#include "core/run/edit_verbs.h"
#include "core/run/pooling.h"
#include "core/run/products.h"
#include "core/run/runner_state.h"

namespace saccade {
namespace {

constexpr int64_t budget_floats = int64_t{64} << 20;  // of the widest activation of one batch

// Where a request leaves the trunk of its tokens.
struct Parting {
  int32_t layer = -1;  // -1: it has its own embedding; n_layer: never
  bool at_z = false;   // after the layer's attention, else before the layer
};

bool acts_before_z(const Edit& edit) {
  // Gates need the queries, which the trunk does not measure.
  if (info_of(edit.verb).stage != EditStage::values || edit.verb == EditVerb::gate) return true;
  const auto* site = std::get_if<SiteRef>(&edit.target);
  if (site == nullptr) return edit.at != HeadPart::z;
  switch (site->site) {
    case HookSite::z:
    case HookSite::attn_out:
    case HookSite::resid_mid:
    case HookSite::mlp_pre:
    case HookSite::mlp_post:
    case HookSite::mlp_out:
    case HookSite::resid_post:
    case HookSite::resid_pre:  // of the layer after
      return false;
    default:
      return true;
  }
}

Parting parting_of(const RunRequest& request, const ModelSpec& spec) {
  if (has_padding(request.tokens, spec)) return {};  // what it must not see is its own
  RunRequest unedited;
  Parting parting;
  parting.layer = first_difference(unedited, request, spec);
  parting.at_z = std::none_of(request.edits.begin(), request.edits.end(), [&](const Edit& edit) {
    return has_effect(edit) && changes_layer(edit, parting.layer) && acts_before_z(edit);
  });
  return parting;
}

// One sequence of rows in the batch: a trunk, or a request on its own.
struct Lane {
  int64_t trunk = 0;     // index of the tokens
  int64_t request = -1;  // -1: the trunk itself
};

class Batch {
 public:
  Batch(std::span<const RunRequest> requests, const std::vector<size_t>& members,
        std::vector<SiteEdits>& edits, const ModelSpec& spec)
      : requests_(requests), edits_(edits), spec_(spec) {
    for (const size_t member : members) {
      const std::vector<int32_t> ids = requests[member].tokens.ids();
      const auto known = std::find_if(trunks_.begin(), trunks_.end(), [&](const TokenSequence* tokens) {
        return same_input(*tokens, requests[member].tokens) &&
               prefix(*tokens) == prefix(requests[member].tokens);
      });
      members_.push_back({member, known - trunks_.begin(), parting_of(requests[member], spec)});
      if (known != trunks_.end()) continue;
      trunks_.push_back(&requests[member].tokens);
      axes_.push_back(axis_positions(spec, requests[member].tokens.images));
      ids_.push_back(ids);
    }
    for (size_t t = 0; t < ids_.size(); ++t) {
      if (trunk_is_needed(static_cast<int64_t>(t), {-1, true}))
        lanes_.push_back({static_cast<int64_t>(t), -1});
    }
    for (const Member& member : members_) {
      if (member.parting.layer < 0) lanes_.push_back({member.trunk, static_cast<int64_t>(member.index)});
    }
  }

  [[nodiscard]] std::vector<int32_t> all_ids() const {
    std::vector<int32_t> ids;
    for (const Lane& lane : lanes_) ids.insert(ids.end(), ids_of(lane).begin(), ids_of(lane).end());
    return ids;
  }
  // The pictures of all lanes, among the rows of all.
  Result<std::vector<GivenRows>> given(
      const std::function<Result<std::vector<GivenRows>>(const TokenSequence&)>& rows_of) const {
    std::vector<GivenRows> all;
    int64_t begin = 0;
    for (const Lane& lane : lanes_) {
      SACCADE_TRY(std::vector<GivenRows> own, rows_of(*trunks_[static_cast<size_t>(lane.trunk)]));
      for (GivenRows& rows : own) {
        rows.first_row += begin;
        all.push_back(std::move(rows));
      }
      begin += static_cast<int64_t>(ids_of(lane).size());
    }
    return all;
  }
  // The answers of models that pool, which need every row of h.
  [[nodiscard]] std::vector<HostTensor> pooled(const ops::DeviceTensor& h,
                                               const ModelWeights& weights) const {
    std::vector<HostTensor> rows;
    int64_t begin = 0;
    for (const Lane& lane : lanes_) {
      const auto end = begin + static_cast<int64_t>(ids_of(lane).size());
      rows.push_back(pooled_answer(ops::rows_of(h, begin, end), weights, spec_,
                                   answer_row(any_request(lane).tokens, spec_)));
      begin = end;
    }
    return rows;
  }
  [[nodiscard]] std::vector<Segment> segments() const {
    std::vector<Segment> segments;
    for (const Lane& lane : lanes_)
      segments.push_back({static_cast<int64_t>(ids_of(lane).size()), 0, edits_of(lane), axes_of(lane),
                          prefix(*trunks_[static_cast<size_t>(lane.trunk)])});
    return segments;
  }
  // Lanes after the partings of this layer; the rows they take from those that are there.
  Regroup part(const Parting& now) {
    const bool parts = std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
      return member.parting.layer == now.layer && member.parting.at_z == now.at_z;
    });
    if (!parts) return {};
    std::vector<int64_t> begins;
    int64_t begin = 0;
    for (const Lane& lane : lanes_) {
      begins.push_back(begin);
      begin += static_cast<int64_t>(ids_of(lane).size());
    }
    std::vector<Lane> lanes;
    Regroup wanted;
    const auto put = [&](const Lane& lane, size_t from) {
      lanes.push_back(lane);
      for (size_t i = 0; i < ids_of(lane).size(); ++i)
        wanted.rows.push_back(static_cast<int32_t>(begins[from] + static_cast<int64_t>(i)));
    };
    for (size_t from = 0; from < lanes_.size(); ++from) {
      const Lane& lane = lanes_[from];
      if (lane.request >= 0 || trunk_is_needed(lane.trunk, now)) put(lane, from);
      if (lane.request >= 0) continue;
      for (const Member& member : members_) {
        if (member.trunk == lane.trunk && member.parting.layer == now.layer &&
            member.parting.at_z == now.at_z)
          put({lane.trunk, static_cast<int64_t>(member.index)}, from);
      }
    }
    lanes_ = std::move(lanes);
    wanted.segments = segments();
    return wanted;
  }
  // Only the rows that are asked for: what the last layer does after z.
  [[nodiscard]] Regroup answers_only() const {
    Regroup wanted;
    int64_t begin = 0;
    for (const Lane& lane : lanes_) {
      const int64_t row = answer_row(any_request(lane).tokens, spec_);
      wanted.rows.push_back(static_cast<int32_t>(begin + row));
      wanted.segments.push_back(
          {1, row, edits_of(lane), axes_of(lane), prefix(*trunks_[static_cast<size_t>(lane.trunk)])});
      begin += static_cast<int64_t>(ids_of(lane).size());
    }
    return wanted;
  }
  // rows: [lane, n_vocab] to the members' answers.
  void hand_out(const std::vector<HostTensor>& rows, std::vector<HostTensor>& answers) const {
    for (size_t i = 0; i < lanes_.size(); ++i) {
      const Lane& lane = lanes_[i];
      if (lane.request >= 0) answers[static_cast<size_t>(lane.request)] = rows[i];
      if (lane.request >= 0) continue;
      for (const Member& member : members_)
        if (member.trunk == lane.trunk && member.parting.layer == spec_.n_layer)
          answers[member.index] = rows[i];
    }
  }

 private:
  [[nodiscard]] int64_t prefix(const TokenSequence& tokens) const {
    return prefix_of(spec_, tokens.size(), tokens.generated_from);
  }
  struct Member {
    size_t index;  // of the request
    int64_t trunk;
    Parting parting;
  };
  [[nodiscard]] const std::vector<int32_t>& ids_of(const Lane& lane) const {
    return ids_[static_cast<size_t>(lane.trunk)];
  }
  [[nodiscard]] const AxisPositions* axes_of(const Lane& lane) const {
    const auto& axes = axes_[static_cast<size_t>(lane.trunk)];
    return axes ? &*axes : nullptr;
  }
  [[nodiscard]] SiteEdits* edits_of(const Lane& lane) const {
    return lane.request >= 0 ? &edits_[static_cast<size_t>(lane.request)] : nullptr;
  }
  [[nodiscard]] const RunRequest& any_request(const Lane& lane) const {
    if (lane.request >= 0) return requests_[static_cast<size_t>(lane.request)];
    const auto member = std::find_if(members_.begin(), members_.end(),
                                     [&](const Member& one) { return one.trunk == lane.trunk; });
    return requests_[member->index];
  }
  // Whether a member still leaves it after `now`.
  [[nodiscard]] bool trunk_is_needed(int64_t trunk, const Parting& now) const {
    return std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
      const Parting& own = member.parting;
      return member.trunk == trunk &&
             (own.layer > now.layer || (own.layer == now.layer && own.at_z && !now.at_z));
    });
  }

  std::span<const RunRequest> requests_;
  std::vector<SiteEdits>& edits_;
  const ModelSpec& spec_;
  std::vector<const TokenSequence*> trunks_;
  std::vector<std::vector<int32_t>> ids_;           // by trunk
  std::vector<std::optional<AxisPositions>> axes_;  // by trunk
  std::vector<Member> members_;
  std::vector<Lane> lanes_;
};

// Segments without an order need every row of their own sequence; the rows of a batch that share a trunk
// share its positions.
bool goes_alone(const RunRequest& request) {
  return std::any_of(request.edits.begin(), request.edits.end(), [](const Edit& edit) {
    return has_effect(edit) && (edit.verb == EditVerb::order_free || moves_positions(edit.verb));
  });
}

// The last layer may drop rows unless an edit after z takes means over all of them.
bool may_narrow(const RunRequest& request) {
  return std::none_of(request.edits.begin(), request.edits.end(), [](const Edit& edit) {
    const auto* site = std::get_if<SiteRef>(&edit.target);
    return has_effect(edit) && edit.verb == EditVerb::mean && site != nullptr && site->site != HookSite::z;
  });
}

Result<std::vector<HostTensor>> logits_of(const ops::DeviceTensor& h, const ModelWeights& weights,
                                          const ModelSpec& spec, const JobContext& job,
                                          ops::Precision precision) {
  const int64_t n_vocab = spec.n_logits();
  const Products products(job, precision);
  const ops::Matrix unembed{weights.unembed.weight, weights.unembed.layout, weights.unembed_bias};
  std::vector<HostTensor> rows;
  for (int64_t i = 0; i < h.rows(); ++i) rows.emplace_back(std::vector<int64_t>{n_vocab}, false);
  constexpr int64_t slice = 8192;
  for (int64_t begin = 0; begin < n_vocab; begin += slice) {
    SACCADE_CHECK(job.check());
    const int64_t end = std::min(begin + slice, n_vocab);
    SACCADE_TRY(const ops::DeviceTensor logits, products.slice(h, unembed, begin, end));
    ops::scale_in_place(logits, spec.logit_scale);
    if (spec.logit_softcap > 0.0) ops::soft_cap_in_place(logits, spec.logit_softcap);
    for (int64_t i = 0; i < h.rows(); ++i)
      std::copy_n(logits.data() + i * logits.columns(), end - begin,
                  rows[static_cast<size_t>(i)].mutable_values().data() + begin);
  }
  return rows;
}

// Same tokens beside each other, early partings first; cut where the rows would outgrow the budget.
std::vector<std::vector<size_t>> batches_of(std::span<const RunRequest> requests, const ModelSpec& spec) {
  std::vector<size_t> order;
  for (size_t i = 0; i < requests.size(); ++i)
    if (!goes_alone(requests[i])) order.push_back(i);
  std::vector<std::pair<std::vector<int32_t>, int32_t>> keys;
  for (const RunRequest& request : requests)
    keys.emplace_back(request.tokens.ids(), parting_of(request, spec).layer);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  const int64_t widest = std::max<int64_t>(
      {spec.d_mlp * (spec.gated_mlp ? 2 : 1), spec.d_model, int64_t{3} * spec.n_head * spec.d_head});
  std::vector<std::vector<size_t>> batches;
  int64_t rows = 0;
  for (const size_t member : order) {
    const int64_t more = requests[member].tokens.size();
    if (batches.empty() || (rows + more) * widest > budget_floats) {
      batches.emplace_back();
      rows = 0;
    }
    batches.back().push_back(member);
    rows += more;
  }
  return batches;
}

}  // namespace

Result<std::vector<HostTensor>> Runner::answers(std::span<const RunRequest> requests, const JobContext& job) {
  if (requests.empty()) return std::vector<HostTensor>();
  const ModelSpec& spec = state_->model->spec();
  std::vector<SiteEdits> edits;
  edits.reserve(requests.size());
  for (const RunRequest& request : requests) {
    SACCADE_CHECK(state_->check(request));
    if (request.dtype != requests[0].dtype || request.device != requests[0].device)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("requests of one batch need one dtype and device, found {} on {} and {} on {}",
                      requests[0].dtype, requests[0].device, request.dtype, request.device));
    edits.push_back(state_->edits_for(request));
    SACCADE_CHECK(edits.back().check());
  }
  std::vector<HostTensor> answers(requests.size());
  const std::vector<std::vector<size_t>> batches = batches_of(requests, spec);
  const CapturePlan nothing{false, false, false, false, 1, 8, {}};
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!goes_alone(requests[i])) continue;
    RunRequest alone = requests[i];
    alone.capture = nothing;
    SACCADE_TRY(const std::shared_ptr<const Run> whole, run(alone, nullptr, {job.cancel, {}}));
    answers[i] = whole->capture->last_logits;
  }
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const ops::OnDevice on(device_of(requests[0]));
    const RunRequest unedited;
    SiteEdits none(unedited, spec, {});
    size_t finished = 0;
    for (const std::vector<size_t>& members : batches) {
      Batch batch(requests, members, edits, spec);
      const ops::Precision precision = precision_of(requests[0].dtype);
      ForwardPass pass = state_->pass(none, nothing, job, requests[0]);
      pass.set_segments(batch.segments());
      const bool pools = spec.pooling != Pooling::none;
      const bool narrows = !pools && std::all_of(members.begin(), members.end(),
                                                 [&](size_t member) { return may_narrow(requests[member]); });
      SACCADE_TRY(const std::vector<GivenRows> given, batch.given([&](const TokenSequence& tokens) {
        return state_->image_rows(tokens, requests[0].dtype, job);
      }));
      SACCADE_TRY(HostTensor x, pass.embed(batch.all_ids(), 0, given));
      for (int32_t l = 0; l < spec.n_layer; ++l) {
        const double share = static_cast<double>(finished) + static_cast<double>(l) / spec.n_layer;
        job.progress(
            share / static_cast<double>(batches.size()),
            fmt::format("batch {} of {}, layer {} of {}", finished + 1, batches.size(), l + 1, spec.n_layer));
        SACCADE_CHECK(job.check());
        pass.take(batch.part({l, false}), x);
        LayerOptions options;
        options.before_z = batch.part({l, true});
        if (l + 1 == spec.n_layer && narrows) options.after_z = batch.answers_only();
        SACCADE_TRY(x, pass.layer(l, std::move(x), options));
      }
      if (!narrows && !pools) pass.take(batch.answers_only(), x);
      SACCADE_TRY(const ops::DeviceTensor h, pass.head(x));
      std::vector<HostTensor> rows;
      if (pools) {
        rows = batch.pooled(h, state_->weights);
      } else {
        SACCADE_TRY(rows, logits_of(h, state_->weights, spec, job, precision));
      }
      batch.hand_out(rows, answers);
      ++finished;
    }
    return {};
  }));
  state_->model->release_vocabulary();
  job.progress(1.0, "done");
  return answers;
}

}  // namespace saccade
