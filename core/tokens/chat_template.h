// How a chat model wants a conversation written: the template that Hugging Face models carry, rendered as
// Transformers' apply_chat_template does.
//
// Templates are Jinja2, of which core/tokens/jinja interprets what they use: trimmed blocks, break and
// continue, macros, namespaces, jinja2's filters and tests but those for HTML. What cannot be parsed or
// rendered is an error that says which line and what was found, never a guess. A template from anywhere may
// be opened: nesting, loop steps, text handled and the length of the result (16 MB) have limits.
// Source: the Jinja 3.1 template designer documentation; Transformers' documentation, "Chat templates".
// Thread: any; a ChatTemplate is immutable.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "kernels/base/result.h"

namespace saccade {

struct ChatMessage {
  std::string role, content;
};

struct ChatOptions {
  bool add_generation_prompt = true;  // end where the model is to go on
  // By the name templates use: "bos_token" -> "<s>". Those a template asks for and are missing are undefined.
  // They come before what the model's own files say.
  std::map<std::string, std::string> special_tokens;
  // What strftime_now formats, "2024-07-26" or "2024-07-26 13:05:00"; without it, the local time it is now.
  std::optional<std::string> date;
};

class ChatTemplate {
 public:
  // Errors: bad_format, or unsupported for parts of Jinja that are left out; "line N" and what was found.
  static Result<ChatTemplate> parse(std::string text, std::map<std::string, std::string> special_tokens = {});

  // Errors as above; invalid_argument with the template's own message where it calls raise_exception, and for
  // messages that are no UTF-8.
  [[nodiscard]] Result<std::string> render(std::span<const ChatMessage> messages,
                                           const ChatOptions& options = {}) const;

  [[nodiscard]] const std::string& text() const { return text_; }
  // What the model's files call its special tokens; by the name templates use.
  [[nodiscard]] const std::map<std::string, std::string>& special_tokens() const { return special_tokens_; }

 private:
  friend Result<std::optional<ChatTemplate>> open_chat_template(const std::filesystem::path& folder);
  struct Tree;
  ChatTemplate() = default;
  std::string text_;
  std::map<std::string, std::string> special_tokens_;
  std::shared_ptr<const Tree> tree_;
};

// Looks into chat_template.jinja, tokenizer_config.json and chat_template.json, in this order; of several
// named templates the one called "default" is taken. Nothing when there is none. Errors name the file.
[[nodiscard]] Result<std::optional<ChatTemplate>> open_chat_template(const std::filesystem::path& folder);

}  // namespace saccade
