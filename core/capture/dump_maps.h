// Patterns and scores of every head of one layer, regenerated row block by row block into a dump. Private to
// core/capture.
#pragma once

#include <functional>
#include <memory>

#include "core/capture/attention_map.h"
#include "core/capture/dump.h"
#include "core/capture/hdf5_file.h"

namespace saccade {

// Called after `bytes` more of the maps were written; an error ends the writing.
using MapProgress = std::function<Result<void>(int64_t bytes)>;

// site is pattern or attn_scores of one layer; dataset [head, query, key].
Result<void> write_maps(h5::Writer& file, const std::shared_ptr<const Capture>& capture, SiteRef site,
                        const DumpOptions& options, const KernelSet& kernels, const MapProgress& progress);

}  // namespace saccade
