#include "core/run/run_request.h"

#include <set>

#include "core/base/digest.h"

namespace saccade {

std::string RunRequest::digest() const {
  Digest digest;
  digest.add("saccade-request-1").add(model_digest).add(tokens.size());
  for (const Token& token : tokens.tokens) digest.add(static_cast<int64_t>(token.id));
  for (Edit edit : edits) {
    if (!has_effect(edit)) continue;
    const auto reference = references.find(edit.from);
    const bool known = reference != references.end() && reference->second;
    if (known) edit.from.clear();  // what it is counts, not how it is called
    digest.add(to_text(edit)).add(known ? reference->second->provenance.request : "");
  }
  digest.add("plan").add(int64_t{capture.attention}).add(int64_t{capture.residuals});
  digest.add(int64_t{capture.statistics})
      .add(int64_t{capture.loss})
      .add(capture.sink_keys)
      .add(capture.local_width);
  for (const SiteRef& site : std::set<SiteRef>(capture.sites.begin(), capture.sites.end()))
    digest.add(full_name(site));
  digest.add(static_cast<int64_t>(seed)).add(dtype).add(device);
  return digest.hex();
}

}  // namespace saccade
