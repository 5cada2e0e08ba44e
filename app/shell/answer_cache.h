// Where the answers of long sweeps are kept, so that one that was stopped goes on where it was: a file per
// method, parameters and run in the user's cache folder; the oldest files go when there are many.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace saccade {

// Empty where no such folder can be made: then nothing is kept. Thread: any.
[[nodiscard]] std::filesystem::path answer_file(const std::string& method, const nlohmann::json& parameters,
                                                const std::string& request);

}  // namespace saccade
