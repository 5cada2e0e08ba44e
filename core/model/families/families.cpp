#include "core/model/families/families.h"

#include <algorithm>

namespace saccade {

std::span<const Family> families() {
  static const std::vector<Family> table{gpt2_family(),
                                         gpt_neo_family(),
                                         gpt_neox_family(),
                                         gptj_family(),
                                         opt_family(),
                                         bloom_family(),
                                         falcon_family(),
                                         mpt_family(),
                                         llama_family(),
                                         mistral_family(),
                                         mixtral_family(),
                                         qwen2_family(),
                                         qwen2_moe_family(),
                                         qwen3_family(),
                                         qwen3_moe_family(),
                                         gemma_family(),
                                         gemma2_family(),
                                         gemma3_family(),
                                         phi_family(),
                                         phi3_family(),
                                         olmo2_family(),
                                         stablelm_family(),
                                         starcoder2_family(),
                                         cohere2_family(),
                                         smollm3_family(),
                                         granite_family(),
                                         hooked_transformer_family(),
                                         gguf_llama_family(),
                                         gguf_qwen2_family(),
                                         gguf_qwen3_family(),
                                         gguf_gpt2_family(),
                                         bert_family(),
                                         roberta_family(),
                                         distilbert_family(),
                                         vit_family(),
                                         deit_family(),
                                         dinov2_family(),
                                         clip_family(),
                                         clip_text_family(),
                                         siglip_family(),
                                         siglip_text_family(),
                                         llava_family(),
                                         llava_next_family(),
                                         paligemma_family(),
                                         idefics3_family(),
                                         qwen2_vl_family(),
                                         qwen2_vl_vision_family()};
  return table;
}

const Family* find_family(std::string_view model_type) {
  for (const Family& family : families())
    if (std::find(family.model_types.begin(), family.model_types.end(), model_type) !=
        family.model_types.end())
      return &family;
  return nullptr;
}

}  // namespace saccade
