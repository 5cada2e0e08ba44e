// The statistics a run keeps only on request, in a dump: masses on named key sets, block maps. Private to
// core/capture.
#pragma once

#include <memory>
#include <vector>

#include "core/capture/capture.h"
#include "core/capture/hdf5_file.h"

namespace saccade::dump {

// Nothing is written for what a layer lacks.
Result<void> write_requested_statistics(h5::Writer& file, const Capture& capture);
Result<void> read_requested_statistics(const h5::Reader& file, const ModelSpec& spec, int64_t n_token,
                                       int64_t block_size,
                                       const std::vector<std::shared_ptr<LayerCapture>>& layers);

}  // namespace saccade::dump
