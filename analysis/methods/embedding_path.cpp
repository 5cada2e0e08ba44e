#include "analysis/methods/embedding_path.h"

#include "core/base/digest.h"

namespace saccade {

HostTensor embedding_between(const HostTensor& from, const HostTensor& to, double share) {
  HostTensor made(from.shape(), false);
  for (int64_t i = 0; i < from.size(); ++i)
    made.mutable_values()[static_cast<size_t>(i)] =
        static_cast<float>(from.data()[i] + share * (static_cast<double>(to.data()[i]) - from.data()[i]));
  return made;
}

void set_embedding(RunRequest& request, const ModelSpec& spec, HostTensor embedding) {
  const char* name = "path of embeddings";
  auto point = std::make_shared<Capture>();
  point->spec = spec;
  point->tokens = request.tokens.tokens;
  point->provenance.request = Digest().add("embedding").add(std::as_bytes(embedding.values())).hex();
  point->sites[{HookSite::embed, -1}] = std::move(embedding);
  Edit edit;
  edit.verb = EditVerb::replace;
  edit.target = SiteRef{HookSite::embed, -1};
  edit.from = name;
  request.edits.push_back(std::move(edit));
  request.references[name] = std::move(point);
}

}  // namespace saccade
