// The pictures and the dump that replay and demo leave behind.
#pragma once

#include "app/cli/work.h"

namespace saccade::cli {

struct Pictures {
  std::vector<std::string> files;
};

// Head grid, the map of `head`, with edits the comparison, the HDF5 dump, the session; into `folder`.
Result<Pictures> write_pictures(const Context& context, const Work& work, HeadId head,
                                const std::string& folder);

}  // namespace saccade::cli
