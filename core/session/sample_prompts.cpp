#include "core/session/sample_prompts.h"

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/model/model.h"

namespace saccade {

Result<std::vector<SamplePrompt>> sample_prompts(const std::string& demo) {
  const std::filesystem::path path = resources_folder() / "prompts" / (demo + ".json");
  SACCADE_TRY(const std::string text, read_text_file(path));
  const nlohmann::json list = nlohmann::json::parse(text, nullptr, false);
  std::vector<SamplePrompt> prompts;
  if (list.is_array())
    for (const nlohmann::json& entry : list) {
      const auto field = [&](const char* key) {
        const auto found = entry.is_object() ? entry.find(key) : entry.end();
        return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
      };
      const std::string image = field("image");
      if (!field("text").empty() || !image.empty())
        prompts.push_back({field("title"), field("text"), field("note"),
                           image.empty() ? "" : (resources_folder() / image).string()});
    }
  if (prompts.empty())
    return make_error(ErrorCode::bad_format,
                      path.string() + ": expected a list of {\"title\", \"text\", \"note\", \"image\"}");
  return prompts;
}

}  // namespace saccade
