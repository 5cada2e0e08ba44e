// Every family of this build, one function each; families.cpp lists them.
#pragma once

#include "core/model/family.h"

namespace saccade {

[[nodiscard]] Family gpt2_family();
[[nodiscard]] Family gpt_neo_family();
[[nodiscard]] Family gpt_neox_family();
[[nodiscard]] Family gptj_family();
[[nodiscard]] Family opt_family();
[[nodiscard]] Family bloom_family();
[[nodiscard]] Family falcon_family();
[[nodiscard]] Family mpt_family();
[[nodiscard]] Family llama_family();
[[nodiscard]] Family mistral_family();
[[nodiscard]] Family mixtral_family();
[[nodiscard]] Family qwen2_family();
[[nodiscard]] Family qwen2_moe_family();
[[nodiscard]] Family qwen3_family();
[[nodiscard]] Family qwen3_moe_family();
[[nodiscard]] Family gemma_family();
[[nodiscard]] Family gemma2_family();
[[nodiscard]] Family gemma3_family();
[[nodiscard]] Family phi_family();
[[nodiscard]] Family phi3_family();
[[nodiscard]] Family olmo2_family();
[[nodiscard]] Family stablelm_family();
[[nodiscard]] Family starcoder2_family();
[[nodiscard]] Family cohere2_family();
[[nodiscard]] Family smollm3_family();
[[nodiscard]] Family granite_family();
[[nodiscard]] Family hooked_transformer_family();
[[nodiscard]] Family gguf_llama_family();
[[nodiscard]] Family gguf_qwen2_family();
[[nodiscard]] Family gguf_qwen3_family();
[[nodiscard]] Family gguf_gpt2_family();
[[nodiscard]] Family bert_family();
[[nodiscard]] Family roberta_family();
[[nodiscard]] Family distilbert_family();
[[nodiscard]] Family vit_family();
[[nodiscard]] Family deit_family();
[[nodiscard]] Family dinov2_family();
[[nodiscard]] Family clip_family();
[[nodiscard]] Family clip_text_family();
[[nodiscard]] Family siglip_family();
[[nodiscard]] Family siglip_text_family();
[[nodiscard]] Family llava_family();
[[nodiscard]] Family qwen2_vl_family();
[[nodiscard]] Family qwen2_vl_vision_family();
[[nodiscard]] Family llava_next_family();
[[nodiscard]] Family paligemma_family();
[[nodiscard]] Family idefics3_family();

}  // namespace saccade
