// The worked example of ablation: one layer of two heads, z1 = [1, 0], z2 = [0, 2], each W_O the identity, so
// that the layer's output is z1 + z2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/run/site_edits.h"

namespace saccade {
namespace {

using testing::ElementsAre;

// The layer's output under an edit; `reference` holds z of another run, [pos, head, d_head].
std::vector<float> output(const std::string& edit, const std::shared_ptr<const Capture>& reference) {
  ModelSpec spec;
  spec.n_layer = 1;
  spec.n_head = spec.n_kv_head = 2;
  spec.d_head = 2;
  spec.d_model = 4;
  RunRequest request;
  request.edits = {parse_edit(edit).value()};
  request.references["set"] = reference;
  SiteEdits edits(request, spec, {});
  EXPECT_TRUE(edits.check().ok());
  std::vector<float> z{1, 0, 0, 2};
  EXPECT_TRUE(edits.apply({HookSite::z, 0}, z, 1, 0).ok());
  return {z[0] + z[2], z[1] + z[3]};
}

TEST(Ablation, zero_and_mean_are_those_of_the_worked_example) {
  auto reference = std::make_shared<Capture>();
  reference->spec.n_layer = 1;
  reference->spec.n_head = reference->spec.n_kv_head = 2;
  reference->spec.d_head = 2;
  reference->spec.d_model = 4;
  reference->tokens.resize(2);
  HostTensor z({2, 2, 2});
  const std::vector<float> rows{7, 7, 0, 2, 7, 7, 0, 4};  // z2 of the reference set: [0, 2] and [0, 4]
  std::copy(rows.begin(), rows.end(), z.mutable_values().begin());
  reference->sites[{HookSite::z, 0}] = z;
  EXPECT_THAT(output("scale 0.1 by=1", reference), ElementsAre(1, 2)) << "nothing is changed";
  EXPECT_THAT(output("zero 0.1", reference), ElementsAre(1, 0));
  EXPECT_THAT(output("mean 0.1 from=set", reference), ElementsAre(1, 3));
}

}  // namespace
}  // namespace saccade
