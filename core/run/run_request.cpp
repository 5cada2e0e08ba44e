#include "core/run/run_request.h"

#include "core/base/digest.h"

namespace saccade {

std::string RunRequest::digest() const {
  Digest digest;
  digest.add("saccade-request-1").add(model_digest).add(tokens.size());
  for (const Token& token : tokens.tokens) digest.add(static_cast<int64_t>(token.id));
  for (const Edit& edit : edits) {
    if (!has_effect(edit)) continue;
    digest.add(to_text(edit));
    const auto reference = references.find(edit.from);
    if (reference != references.end() && reference->second) digest.add(reference->second->provenance.request);
  }
  digest.add("plan").add(int64_t{capture.attention}).add(int64_t{capture.residuals});
  digest.add(int64_t{capture.statistics})
      .add(int64_t{capture.loss})
      .add(capture.sink_keys)
      .add(capture.local_width);
  for (const SiteRef& site : capture.sites) digest.add(full_name(site));
  digest.add(static_cast<int64_t>(seed)).add(dtype).add(device);
  return digest.hex();
}

}  // namespace saccade
