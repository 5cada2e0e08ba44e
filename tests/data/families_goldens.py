"""The variants of make_goldens.py: one or more tiny random models for every family, each with what is special about
it switched on, and `plain`: the change that switches it off (the logits must then differ)."""
from transformers import (AutoModelForCausalLM, AutoModelForMaskedLM, BertConfig, BloomConfig, Cohere2Config,
                          DistilBertConfig, FalconConfig, Gemma2Config, Gemma3TextConfig, GemmaConfig, GPT2Config,
                          GPTJConfig, GPTNeoConfig, GPTNeoXConfig, GraniteConfig, LlamaConfig, MistralConfig,
                          MixtralConfig, MptConfig, Olmo2Config, OPTConfig, Phi3Config, PhiConfig, Qwen2Config,
                          Qwen2MoeConfig, Qwen3Config, Qwen3MoeConfig, RobertaConfig, SmolLM3Config, StableLmConfig,
                          Starcoder2Config)

N_VOCAB = 96
IDS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
DECODER = dict(vocab_size=N_VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
               max_position_embeddings=64, **IDS)
GQA = dict(DECODER, num_key_value_heads=2)
MOE = dict(GQA, num_experts_per_tok=2, moe_intermediate_size=16, num_experts=4)
BERT = dict(vocab_size=N_VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=64, **IDS)
FALCON = dict(vocab_size=N_VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_hidden_size=48,
              max_position_embeddings=64, **IDS)


def rope(kind, base=10000.0, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": base, **more}}


LLAMA3 = rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
# name: (config class, settings, settings that switch the special thing off, what it is)
VARIANTS = {
    "gpt2": (GPT2Config, dict(vocab_size=N_VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, **IDS),
             dict(activation_function="relu"), "learned positions, fused Conv1D"),
    "gpt2_inverse_layer_scale": (
        GPT2Config, dict(vocab_size=N_VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, **IDS,
                         scale_attn_by_inverse_layer_idx=True),
        dict(scale_attn_by_inverse_layer_idx=False), "scores divided by the layer's number"),
    "gpt_neo": (GPTNeoConfig, dict(vocab_size=N_VOCAB, hidden_size=32, num_layers=2, num_heads=4, window_size=8,
                                   attention_types=[[["global", "local"], 1]], max_position_embeddings=64, **IDS),
                dict(window_size=64), "every other layer local, unscaled scores"),
    "gpt_neox": (GPTNeoXConfig, dict(DECODER, rope_parameters={"rope_theta": 10000.0, "partial_rotary_factor": 0.25,
                                                               "rope_type": "default"}),
                 dict(use_parallel_residual=False), "parallel block, a quarter of each head rotated"),
    "gpt_neox_sequential": (GPTNeoXConfig, dict(DECODER, use_parallel_residual=False),
                            dict(use_parallel_residual=True), "sequential block"),
    "gptj": (GPTJConfig, dict(vocab_size=N_VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, **IDS),
             dict(rotary_dim=8), "parallel block, interleaved rotary pairs"),
    "opt": (OPTConfig, dict(vocab_size=N_VOCAB, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4,
                            max_position_embeddings=64, word_embed_proj_dim=32, **IDS),
            dict(activation_function="gelu"), "positions from row 2 on"),
    "opt_projected": (OPTConfig, dict(vocab_size=N_VOCAB, hidden_size=32, ffn_dim=48, num_hidden_layers=2,
                                      num_attention_heads=4, max_position_embeddings=64, word_embed_proj_dim=16,
                                      do_layer_norm_before=False, **IDS),
                      dict(activation_function="gelu"), "projected embeddings, norms after the additions"),
    "bloom": (BloomConfig, dict(vocab_size=N_VOCAB, hidden_size=32, n_layer=2, n_head=4, **IDS), None,
              "ALiBi, fused q, k, v per head, normalised embeddings"),
    "bloom_six_heads": (BloomConfig, dict(vocab_size=N_VOCAB, hidden_size=48, n_layer=2, n_head=6, **IDS), None,
                        "ALiBi for a number of heads that is no power of two"),
    "falcon_grouped": (FalconConfig, dict(FALCON, new_decoder_architecture=True, num_kv_heads=2),
                       None, "parallel block with two norms, fused q, k, v per group"),
    "falcon_multi_query": (FalconConfig, dict(FALCON, multi_query=True), None, "one KV head, one norm"),
    "falcon_alibi": (FalconConfig, dict(FALCON, multi_query=False, alibi=True, parallel_attn=False, bias=True),
                     dict(alibi=False), "ALiBi inside the scaling, biases, sequential"),
    "mpt": (MptConfig, dict(vocab_size=N_VOCAB, d_model=32, n_heads=4, n_layers=2, max_seq_len=64, **IDS,
                            attn_config={"clip_qkv": 0.4}), dict(attn_config={"clip_qkv": None}),
            "ALiBi, clamped q, k, v"),
    "llama_llama3_rope": (LlamaConfig, dict(GQA, tie_word_embeddings=True, **LLAMA3), rope("default"),
                          "llama3 scaling, tied"),
    "llama_linear_rope_biases": (
        LlamaConfig, dict(GQA, attention_bias=True, mlp_bias=True, head_dim=16, **rope("linear", 5000.0, factor=2.5)),
        rope("default", 5000.0), "linear scaling, biases, heads wider than hidden / heads"),
    "llama_dynamic_rope": (LlamaConfig, dict(GQA, **dict(rope("dynamic", factor=3.0), max_position_embeddings=16)),
                           rope("default"), "dynamic scaling, a prompt beyond the original context"),
    "llama_yarn_rope": (LlamaConfig, dict(GQA, head_dim=16, **rope("yarn", factor=4.0, original_max_position_embeddings=16)),
                        rope("default"), "yarn scaling"),
    "llama_longrope": (LlamaConfig, dict(GQA, **rope("longrope", factor=4.0, original_max_position_embeddings=16,
                                                     short_factor=[1.0, 1.1, 1.2, 1.3],
                                                     long_factor=[1.0, 2.0, 3.5, 5.0])),
                       rope("default"), "longrope scaling"),
    "mistral": (MistralConfig, dict(GQA, sliding_window=8), dict(sliding_window=None), "a window of 8"),
    "mixtral": (MixtralConfig, dict(GQA, num_local_experts=4, num_experts_per_tok=2), dict(num_experts_per_tok=1),
                "two of four experts"),
    "qwen2": (Qwen2Config, dict(GQA, use_sliding_window=True, sliding_window=8, max_window_layers=1),
              dict(use_sliding_window=False), "biases on q, k, v; a window from layer 1 on"),
    "qwen2_moe": (Qwen2MoeConfig, dict(MOE, num_hidden_layers=3, shared_expert_intermediate_size=24,
                                       mlp_only_layers=[1]),
                  dict(norm_topk_prob=True), "a shared expert, one layer without experts"),
    "qwen2_moe_normalised": (Qwen2MoeConfig, dict(MOE, shared_expert_intermediate_size=24, norm_topk_prob=True),
                             dict(norm_topk_prob=False), "expert weights that sum to 1"),
    "qwen3": (Qwen3Config, dict(GQA, head_dim=16), None, "normalised q and k"),
    "qwen3_moe": (Qwen3MoeConfig, dict(MOE, head_dim=16, norm_topk_prob=True), dict(norm_topk_prob=False),
                  "normalised q and k, experts"),
    "gemma": (GemmaConfig, dict(GQA, head_dim=16), None, "norms around 1, scaled embeddings"),
    "gemma2": (Gemma2Config, dict(GQA, head_dim=16, sliding_window=8, query_pre_attn_scalar=20,
                                  attn_logit_softcapping=5.0, final_logit_softcapping=3.0),
               dict(attn_logit_softcapping=None), "soft caps, every other layer with a window, four norms"),
    "gemma3": (Gemma3TextConfig, dict(GQA, num_hidden_layers=3, head_dim=16, sliding_window=8, query_pre_attn_scalar=20,
                                      layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                                      rope_parameters={
                                          "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                                          "full_attention": {"rope_type": "linear", "factor": 4.0,
                                                             "rope_theta": 10000.0}}),
               dict(sliding_window=64), "two rotary bases, windows, normalised q and k"),
    "phi": (PhiConfig, dict(DECODER), None, "parallel block, half of each head rotated, biases everywhere"),
    "phi3": (Phi3Config, dict(GQA, sliding_window=8), dict(sliding_window=None), "fused matrices, a window"),
    "phi3_longrope": (Phi3Config, dict(GQA, original_max_position_embeddings=16,
                                       **rope("longrope", short_factor=[1.0, 1.1, 1.2, 1.3],
                                              long_factor=[1.0, 2.0, 3.5, 5.0])),
                      rope("default"), "longrope as Phi-3 writes it"),
    "olmo2": (Olmo2Config, dict(GQA), None, "norms after attention and MLP, q and k normalised over all heads"),
    "stablelm": (StableLmConfig, dict(GQA, use_qkv_bias=True,
                                      rope_parameters={"rope_theta": 10000.0, "partial_rotary_factor": 0.25,
                                                       "rope_type": "default"}),
                 dict(use_parallel_residual=True), "LayerNorm, gated, a quarter rotated, biases on q, k, v"),
    "stablelm_parallel": (StableLmConfig, dict(GQA, use_parallel_residual=True, qk_layernorm=True),
                          dict(use_parallel_residual=False), "parallel block, q and k normalised head by head"),
    "starcoder2": (Starcoder2Config, dict(GQA, sliding_window=8), dict(sliding_window=None), "biases, a window"),
    "cohere2": (Cohere2Config, dict(GQA, num_hidden_layers=3, sliding_window=8, logit_scale=0.25,
                                    layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
                dict(sliding_window=64), "parallel block, interleaved pairs, whole layers without positions"),
    "smollm3": (SmolLM3Config, dict(GQA, num_hidden_layers=3, no_rope_layers=[1, 0, 1]),
                dict(no_rope_layers=[1, 1, 1]), "a layer without positions"),
    "granite": (GraniteConfig, dict(GQA, embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2,
                                    logits_scaling=2.0), dict(residual_multiplier=1.0), "multipliers"),
    "llama_bf16": (LlamaConfig, dict(GQA), None, "weights stored as bfloat16, computed in float32"),
    "bert": (BertConfig, dict(BERT), None, "every position sees every other; masked-language-model head"),
    "roberta": (RobertaConfig, dict(BERT, pad_token_id=1, type_vocab_size=1), None, "positions from row 2 on"),
    "distilbert": (DistilBertConfig, dict(vocab_size=N_VOCAB, dim=32, hidden_dim=48, n_layers=2, n_heads=4,
                                          max_position_embeddings=64, pad_token_id=0), None, "no token types"),
}
ENCODERS = {"bert", "roberta", "distilbert"}
BFLOAT16 = {"llama_bf16"}


def make(name, changes=None, attention="eager"):
    kind, settings, _, _ = VARIANTS[name]
    config = kind(**{**settings, **(changes or {})})
    auto = AutoModelForMaskedLM if name in ENCODERS else AutoModelForCausalLM
    return auto.from_config(config, attn_implementation=attention).eval()
