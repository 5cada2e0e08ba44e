// Encoders with a masked-language-model head: BERT (Devlin et al. 2019, arXiv 1810.04805), RoBERTa (Liu et
// al. 2019, arXiv 1907.11692), DistilBERT (Sanh et al. 2019, arXiv 1910.01108). Every position sees every
// other; norms stand after the additions. Fine-tuned ones often have another head, or none: they open without
// the one that predicts tokens, and the model's notes say so.
#include <algorithm>

#include "core/model/families/common.h"

namespace saccade {
namespace {

void make_encoder(ModelSpec& spec) {
  spec.causal = false;
  spec.block = BlockKind::post_norm;
  spec.norm_epsilon = 1e-12;
}

Result<ModelSpec> read_bert_like(const nlohmann::json& json, const char* family) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec,
              read_sizes(config, family, {"num_hidden_layers", "num_attention_heads", "hidden_size"}));
  make_encoder(spec);
  SACCADE_CHECK(config.only("is_decoder", false));
  SACCADE_CHECK(config.only("position_embedding_type", "absolute"));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, 512));
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_eps", 1e-12));
  SACCADE_TRY(spec.activation, config.activation("hidden_act", "gelu"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  SACCADE_TRY(spec.n_token_type, config.count({"type_vocab_size"}, 2));
  return spec;
}

Result<ModelSpec> read_bert(const nlohmann::json& json) { return read_bert_like(json, "bert"); }

// Positions are counted from the padding token's id on.
Result<ModelSpec> read_roberta(const nlohmann::json& json) {
  SACCADE_TRY(ModelSpec spec, read_bert_like(json, "roberta"));
  SACCADE_TRY(const double padding, ConfigReader(json).number("pad_token_id", 1.0));
  spec.position_offset = static_cast<int32_t>(padding) + 1;
  if (spec.position_offset < 0 || spec.position_offset >= spec.n_context)
    return ConfigReader(json).wrong("pad_token_id", "a token id below max_position_embeddings", padding);
  spec.n_context -= spec.position_offset;
  return spec;
}

Result<ModelSpec> read_distilbert(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_sizes(config, "distilbert", {"n_layers", "n_heads", "dim"}));
  make_encoder(spec);
  SACCADE_TRY(spec.d_mlp, config.count({"hidden_dim"}));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, 512));
  SACCADE_TRY(spec.activation, config.activation("activation", "gelu"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  return spec;
}

// What BERT and RoBERTa have in common; `at` is "bert." or "roberta.".
RuleTable bert_body(const ModelSpec& spec, const std::string& at, const std::string& decoder) {
  const std::string layer = at + "encoder.layer.{l}.";
  RuleTable table(spec);
  table.vocabulary(at + "embeddings.word_embeddings", decoder)
      .rows(Slot::pos_embed, at + "embeddings.position_embeddings", spec.n_context + spec.position_offset,
            spec.d_model)
      .rows(Slot::type_embed, at + "embeddings.token_type_embeddings", spec.n_token_type, spec.d_model)
      .norm(Slot::embed_norm_weight, at + "embeddings.LayerNorm", true)
      .separate_qkv(layer + "attention.", "self.query", "self.key", "self.value", "output.dense")
      .norm(Slot::norm1_weight, layer + "attention.output.LayerNorm", true)
      .mlp(layer + "intermediate.dense", "", layer + "output.dense")
      .norm(Slot::norm2_weight, layer + "output.LayerNorm", true);
  return table;
}

// The rules of a table from the head on are of one part.
std::vector<WeightRule> with_head(const RuleTable& table) {
  std::vector<WeightRule> rules = table.rules();
  const auto first = std::find_if(rules.begin(), rules.end(),
                                  [](const WeightRule& rule) { return rule.slot == Slot::head_weight; });
  std::for_each(first, rules.end(), [](WeightRule& rule) { rule.part_of = "head that predicts tokens"; });
  return rules;
}

std::vector<WeightRule> bert_rules(const ModelSpec& spec) {
  const std::string head = "cls.predictions.";
  RuleTable table = bert_body(spec, "bert.", head + "decoder");
  table.linear(Slot::head_weight, head + "transform.dense", spec.d_model, spec.d_model, true)
      .norm(Slot::head_norm_weight, head + "transform.LayerNorm", true)
      .vector(Slot::unembed_bias, head + "bias", spec.n_vocab);
  return with_head(table);
}

std::vector<WeightRule> roberta_rules(const ModelSpec& spec) {
  RuleTable table = bert_body(spec, "roberta.", "lm_head.decoder");
  table.linear(Slot::head_weight, "lm_head.dense", spec.d_model, spec.d_model, true)
      .norm(Slot::head_norm_weight, "lm_head.layer_norm", true)
      .vector(Slot::unembed_bias, "lm_head.bias", spec.n_vocab);
  return with_head(table);
}

std::vector<WeightRule> distilbert_rules(const ModelSpec& spec) {
  const std::string at = "distilbert.", layer = at + "transformer.layer.{l}.";
  RuleTable table(spec);
  table.vocabulary(at + "embeddings.word_embeddings", "vocab_projector")
      .rows(Slot::pos_embed, at + "embeddings.position_embeddings", spec.n_context, spec.d_model)
      .norm(Slot::embed_norm_weight, at + "embeddings.LayerNorm", true)
      .separate_qkv(layer + "attention.", "q_lin", "k_lin", "v_lin", "out_lin")
      .norm(Slot::norm1_weight, layer + "sa_layer_norm", true)
      .mlp(layer + "ffn.lin1", "", layer + "ffn.lin2")
      .norm(Slot::norm2_weight, layer + "output_layer_norm", true)
      .linear(Slot::head_weight, "vocab_transform", spec.d_model, spec.d_model, true)
      .norm(Slot::head_norm_weight, "vocab_layer_norm", true)
      .vector(Slot::unembed_bias, "vocab_projector.bias", spec.n_vocab);
  return with_head(table);
}

}  // namespace

Family bert_family() {
  return {"bert",
          {"bert"},
          read_bert,
          bert_rules,
          {""},
          {"*position_ids", "bert.pooler.*", "pooler.*", "cls.seq_relationship.*",
           "cls.predictions.decoder.bias"}};
}
Family roberta_family() {
  return {"roberta",    {"roberta"},
          read_roberta, roberta_rules,
          {""},         {"*position_ids", "roberta.pooler.*", "pooler.*", "lm_head.decoder.bias"}};
}
Family distilbert_family() {
  return {"distilbert", {"distilbert"}, read_distilbert, distilbert_rules, {""}, {"*position_ids"}};
}

}  // namespace saccade
