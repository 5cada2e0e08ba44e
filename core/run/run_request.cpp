#include "core/run/run_request.h"

#include <set>

#include "core/base/digest.h"
#include "core/run/edit_references.h"

namespace saccade {

std::string RunRequest::digest() const {
  Digest digest;
  digest.add("saccade-request-1").add(model_digest).add(tokens.size());
  for (const Token& token : tokens.tokens) digest.add(static_cast<int64_t>(token.id));
  for (const PlacedImage& placed : tokens.images)
    digest.add("picture").add(placed.region.begin).add(placed.image->digest);
  for (const PlacedImage& placed : tokens.images)
    for (const int32_t patch : placed.kept) digest.add("kept").add(int64_t{patch});
  if (tokens.generated_from >= 0) digest.add("generated").add(tokens.generated_from);
  for (Edit edit : edits) {
    if (!has_effect(edit)) continue;
    std::string source;  // what it is counts, not how it is called
    if (const auto run = references.find(edit.from);
        run != references.end() && run->second && !reads_vectors(edit.verb))
      source = run->second->provenance.request;
    if (const auto file = vectors.find(edit.from);
        file != vectors.end() && file->second && reads_vectors(edit.verb))
      source = file->second->digest;
    if (!source.empty()) edit.from.clear();
    digest.add(to_text(edit)).add(source);
  }
  digest.add("plan").add(int64_t{capture.attention}).add(int64_t{capture.residuals});
  digest.add(int64_t{capture.statistics})
      .add(int64_t{capture.loss})
      .add(capture.sink_keys)
      .add(capture.local_width);
  for (const SiteRef& site : std::set<SiteRef>(capture.sites.begin(), capture.sites.end()))
    digest.add(full_name(site));
  if (capture.value_mass || capture.block_size > 0)
    digest.add("more").add(int64_t{capture.value_mass}).add(capture.block_size);
  for (const NamedKeys& mass : capture.key_masses) {
    digest.add(mass.name);
    for (const PositionRange& range : mass.keys.ranges()) digest.add(range.begin).add(range.end);
  }
  digest.add(static_cast<int64_t>(seed)).add(dtype).add(device);
  return digest.hex();
}

}  // namespace saccade
