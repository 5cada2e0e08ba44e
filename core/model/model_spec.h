// ModelSpec: everything the one forward pass needs to know about an architecture, read from config.json by a
// family file (core/model/families/<name>.cpp) and never from the weights. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace saccade {

enum class NormKind { layer_norm, rms_norm };
enum class PositionKind { none, learned, rotary, alibi };
// Which dimensions are rotated together: halves = (i, i + d/2) as in Llama, interleaved = (2i, 2i + 1) as in
// GPT-J.
enum class RotaryPairing { halves, interleaved };
enum class RotaryScaling { none, linear, dynamic, yarn, llama3, longrope };
// gelu_quick: x sigmoid(1.702 x); relu_squared: max(x, 0)^2
enum class Activation { gelu, gelu_tanh, gelu_quick, silu, relu, relu_squared };
// How a layer adds its two parts to the residual x:
//   sequential  y = x + attn(norm1 x),  y + mlp(norm2 y)
//   parallel    x + attn(norm1 x) + mlp(norm2 x); without a second norm both read norm1 x
//   post_norm   y = norm1(x + attn x),  norm2(y + mlp y)
enum class BlockKind { sequential, parallel, post_norm };
// The rows of a fused q, k, v matrix: all q, all k, all v; or per KV head its query heads, its k, its v.
enum class QkvLayout { concatenated, per_kv_head };
// What q and k are normalised over before they are rotated: each head on its own, or all heads at once.
enum class QkNorm { none, per_head, whole_width };

struct RotarySpec {
  double base = 10000.0;
  int32_t dimensions = 0;  // how many of d_head are rotated
  RotaryPairing pairing = RotaryPairing::halves;
  RotaryScaling scaling = RotaryScaling::none;
  double factor = 1.0;                 // linear, dynamic, yarn, llama3
  double low_frequency_factor = 1.0;   // llama3; of yarn: beta_slow
  double high_frequency_factor = 4.0;  // llama3; of yarn: beta_fast
  int32_t original_context = 0;        // positions it was trained on: dynamic, yarn, llama3, longrope
  double attention_factor = 1.0;       // yarn, longrope: cos and sin are multiplied by it
  bool truncate = true;                // yarn: whole dimensions bound the ramp
  std::vector<double> short_factors, long_factors;  // longrope, [dimensions / 2]
  // Positions along time, row and column of a picture (core/run/axis_positions.h): how many pairs turn with
  // each, one after another; empty: all turn with the place in the sequence. Their frequencies go on from one
  // axis to the next, or, as in towers, begin anew: base^(-j / n) for pair j of n.
  std::vector<int32_t> sections;
  bool sections_begin_anew = false;
};

struct ExpertSpec {
  int32_t n_expert = 0, n_used = 0;  // 0 experts: a plain MLP everywhere
  int32_t d_mlp = 0, d_shared = 0;   // of one expert; of the shared one, 0 = there is none
  bool normalise_weights = false;    // the used experts' weights sum to 1
};

// What an answer is read from, in models that do not predict a token at every position.
//   cls                   the first position
//   cls_and_distillation  the mean of what two heads say of the first two positions (DeiT)
//   cls_and_mean          the first position, beside the mean of all others (DINOv2)
//   mean                  the mean of all positions
//   probe                 what one learned query gathers from all positions (SigLIP)
//   end_of_text           the first end-of-text token (CLIP's text tower)
//   last                  the last position (SigLIP's text tower)
enum class Pooling { none, cls, cls_and_distillation, cls_and_mean, mean, probe, end_of_text, last };
// How a table of positions becomes one for another grid: not at all needed, or bicubic as LibTorch's
// interpolate() does it (Keys 1981, a = -0.75), or with its antialias (a = -0.5, wider when shrinking); or
// the row whose cell holds the patch's upper left corner as a share of the picture (NaViT, arXiv 2307.06304).
enum class GridResampling { bicubic, bicubic_antialias, fractional };

// Pictures as input: square or other patches in rows, behind a prefix of learned positions.
struct PatchSpec {
  int32_t height = 0, width = 0;  // of a patch, in pixels of the processed picture; 0: reads no pictures
  int32_t channels = 3;           // red, green, blue
  int32_t image_height = 0, image_width = 0;  // that the table of positions was made for
  bool cls = false, distillation = false;     // positions before the patches, in this order, then
  int32_t n_register = 0;                     // registers, which have no row in the table of positions
  GridResampling resampling = GridResampling::bicubic;
  int32_t frames = 1;  // how often a still picture is read: patches of a film reach over so many frames
  int32_t window = 0;  // side of the squares of patches that see only each other; 0: every patch sees all
  std::vector<int32_t> whole_layers;  // in which they see all nevertheless

  [[nodiscard]] int32_t n_placed_prefix() const { return (cls ? 1 : 0) + (distillation ? 1 : 0); }
  [[nodiscard]] int32_t n_prefix() const { return n_placed_prefix() + n_register; }
  [[nodiscard]] int32_t grid_height() const { return image_height / height; }  // of the table
  [[nodiscard]] int32_t grid_width() const { return image_width / width; }
};

// A decoder's pictures: what its vision tower, a model of its own, becomes in the decoder's sequence.
struct TowerUse {
  int32_t image_token_id = -1;               // stands for a picture in the prompt; -1: there is no tower
  std::vector<int32_t> layers;               // the residuals that enter these layers, side by side
  bool drops_prefix = true;                  // patches only
  int32_t d_tower = 0;                       // width of one residual
  Activation activation = Activation::gelu;  // between the projector's two matrices, where it has two
  bool bias = true;
  int32_t merge = 1;           // merge x merge patches, side by side row by row, become one position
  bool final_norm = false;     // the tower's final norm comes before that, after its last layer
  int32_t film_token_id = -1;  // stands for a film, which this program does not read; -1: there is none
  bool newline = false;        // pictures cut into tiles stand as one grid with a position after each row
  bool labels_tiles = false;   // each tile stands behind the token of its row and column
};

struct ModelSpec {
  std::string family;      // "gpt2", "llama": the file in core/model/families
  std::string model_type;  // as the config spells it
  int32_t n_layer = 0, n_head = 0, n_kv_head = 0;
  int32_t d_model = 0, d_head = 0, d_mlp = 0;  // d_mlp 0: layers of attention only
  int32_t d_embed = 0;  // of the embedding when it is projected to d_model (OPT); 0 = d_model
  int32_t n_vocab = 0;
  int32_t n_output = 0;      // logits, where they are not one per token of the vocabulary; 0 = n_vocab
  int32_t n_token_type = 0;  // rows of the token type embedding (BERT)
  int32_t n_context = 0;     // largest number of positions
  bool causal = true;        // false: every position sees every other (BERT)
  // Of a causal model: positions before it see each other in both directions. In a model's spec -1: those of
  // the whole prompt, only what is generated is causal (PaliGemma); in a capture's how many they were.
  int32_t prefix = 0;
  int32_t padding_id = -1;  // toy models that see both ways: nobody sees this token; -1 = there is none

  BlockKind block = BlockKind::sequential;
  NormKind norm = NormKind::layer_norm;
  double norm_epsilon = 1e-5;
  bool no_norms = false, weightless_norms = false;  // toy models: none at all; nothing to multiply with
  double norm_offset = 0.0;                         // added to the weights of every norm (Gemma: 1)
  QkNorm qk_norm = QkNorm::none;

  PositionKind position = PositionKind::learned;
  int32_t position_offset = 0;  // row of the first position in the table (OPT, RoBERTa)
  RotarySpec rotary;
  RotarySpec local_rotary;            // of layers with a window, where they differ (Gemma 3)
  std::vector<float> alibi_slopes;    // [head], Press et al. 2022 (arXiv 2108.12409)
  std::vector<int32_t> windows;       // [layer], keys a row looks back on, itself included; 0 = all
  std::vector<int32_t> layer_rotary;  // [layer], 0 = none, 1 = rotary, 2 = local_rotary; empty = rotary

  QkvLayout qkv_layout = QkvLayout::concatenated;
  double attention_scale = 0.0;    // multiplies q.k
  bool scale_by_layer = false;     // layer l: attention_scale / (l + 1)
  double attention_softcap = 0.0;  // s -> cap tanh(s / cap); 0 = none
  double qkv_clip = 0.0;           // q, k, v are clamped to +-clip; 0 = none

  Activation activation = Activation::gelu_tanh;
  bool gated_mlp = false;
  ExpertSpec experts;
  std::vector<int32_t> dense_layers;  // layers with a plain MLP in a model of experts

  double embed_scale = 1.0, residual_scale = 1.0;
  double logit_scale = 1.0, logit_softcap = 0.0;  // logits -> cap tanh(scale logits / cap)
  Pooling pooling = Pooling::none;
  PatchSpec patches;         // of a model whose positions are a picture
  TowerUse tower;            // of a decoder that reads text and pictures
  bool layer_scale = false;  // what attention and MLP give is multiplied with learned factors, one per column
  bool tied_unembedding = true;
  bool qkv_bias = true, attention_out_bias = true, mlp_bias = true;
  std::vector<int32_t> bos_ids, eos_ids;
  std::string weight_dtype;  // as stored: "float32", "bfloat16", "float16"; filled in by the checkpoint

  [[nodiscard]] int32_t n_logits() const { return n_output > 0 ? n_output : n_vocab; }
  // Whether logits at one position are about the token at the next: there is a loss per token only then.
  [[nodiscard]] bool predicts_next_token() const {
    return looks_back() && pooling == Pooling::none && n_logits() >= n_vocab;
  }
  // Whether no position ever sees a later one.
  [[nodiscard]] bool looks_back() const { return causal && prefix == 0; }
  [[nodiscard]] bool is_picture_model() const { return patches.height > 0; }
  [[nodiscard]] bool reads_pictures() const { return is_picture_model() || tower.image_token_id >= 0; }
  [[nodiscard]] int32_t n_heads_total() const { return n_layer * n_head; }
  [[nodiscard]] int32_t kv_head_of(int32_t head) const { return head / (n_head / n_kv_head); }
  [[nodiscard]] int32_t window_of(int32_t layer) const {
    return windows.empty() ? 0 : windows[static_cast<size_t>(layer)];
  }
  // Null when q and k of this layer are not rotated.
  [[nodiscard]] const RotarySpec* rotary_of(int32_t layer) const {
    const int32_t kind = layer_rotary.empty() ? 1 : layer_rotary[static_cast<size_t>(layer)];
    if (position != PositionKind::rotary || kind == 0) return nullptr;
    return kind == 2 ? &local_rotary : &rotary;
  }
  [[nodiscard]] double attention_scale_of(int32_t layer) const {
    return scale_by_layer ? attention_scale / (layer + 1) : attention_scale;
  }
  [[nodiscard]] bool has_experts(int32_t layer) const {
    for (const int32_t dense : dense_layers)
      if (dense == layer) return false;
    return experts.n_expert > 0;
  }
};

}  // namespace saccade
