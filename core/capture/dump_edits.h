// What edits left in a run's layers, in a dump: edges cut from the masks, plans of heads and their row
// factors. Private to core/capture.
#pragma once

#include <memory>
#include <vector>

#include "core/capture/capture.h"
#include "core/capture/hdf5_file.h"

namespace saccade::dump {

// Nothing is written for a run without edits of maps.
Result<void> write_edits(h5::Writer& file, const Capture& capture);
// Into layers that are there already. Refuses what names no part of a map, plans that the kernels could not
// trust, and factors of another shape.
Result<void> read_edits(const h5::Reader& file, const ModelSpec& spec, int64_t n_token,
                        const std::vector<std::shared_ptr<LayerCapture>>& layers);

}  // namespace saccade::dump
