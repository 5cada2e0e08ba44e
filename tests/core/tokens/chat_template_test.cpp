// Templates against what Transformers renders from them (tests/data/make_chat_expected.py), byte for byte,
// and what must not happen with any template.
#include "core/tokens/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using nlohmann::json;
using namespace tokens_test;
using testing::HasSubstr;
using testing::StartsWith;

const json& expected() {
  static const json loaded = json::parse(
      read_file(std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "chat_expected.json"));
  return loaded;
}

std::vector<ChatMessage> conversation(const std::string& name) {
  std::vector<ChatMessage> messages;
  for (const json& message : expected()["conversations"][name])
    messages.push_back({message["role"], message["content"]});
  return messages;
}

ChatOptions recorded_options(bool generation = true) {
  ChatOptions options;
  options.add_generation_prompt = generation;
  options.special_tokens = expected()["tokens"].get<std::map<std::string, std::string>>();
  options.date = expected()["date"].get<std::string>();
  return options;
}

Result<std::string> render(const std::string& text, std::span<const ChatMessage> messages,
                           const ChatOptions& options) {
  SACCADE_TRY(const ChatTemplate made, ChatTemplate::parse(text));
  return made.render(messages, options);
}

Result<std::string> render(const std::string& text) {
  return render(text, conversation("turns"), recorded_options());
}

std::string error_of(const std::string& text) {
  const auto made = render(text);
  return made.ok() ? "rendered: " + made->substr(0, 200) : made.error().to_string();
}

// The outcome is text, the template's own error, or any error.
void expect_outcome(const Result<std::string>& made, const json& outcome) {
  if (outcome.contains("text")) {
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    EXPECT_EQ(*made, outcome["text"].get<std::string>());
    return;
  }
  ASSERT_FALSE(made.ok()) << "rendered " << *made << " where Transformers has an error";
  if (outcome.contains("raises")) {
    EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(made.error().to_string(), outcome["raises"].get<std::string>());
  } else {
    EXPECT_NE(made.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(made.error().code, ErrorCode::internal);
  }
}

TEST(ChatTemplate, WritesEveryStyleAsTransformersDoes) {
  for (const json& style : expected()["styles"]) {
    for (const json& outcome : style["outcomes"]) {
      SCOPED_TRACE(style["name"].dump() + " on " + outcome["conversation"].dump());
      expect_outcome(render(style["template"], conversation(outcome["conversation"]),
                            recorded_options(outcome["generation"].get<bool>())),
                     outcome);
    }
  }
}

TEST(ChatTemplate, EvaluatesEverySmallCaseAsJinjaDoes) {
  for (const json& each : expected()["cases"]) {
    SCOPED_TRACE(each["template"].dump());
    expect_outcome(render(each["template"].get<std::string>()), each);
  }
}

TEST(ChatTemplate, NamesTheLineAndWhatWasFound) {
  EXPECT_EQ(error_of("a\nb\n{% if x %}\n{{ 1 + }}"), "line 4: expected an expression, found '}}'");
  EXPECT_EQ(error_of("\n{% for m in messages %}x"),
            "line 2: expected {% endfor %} or {% else %}, found the end of the template");
  EXPECT_THAT(error_of("{{ 1 }}\n{{ 'x'|shout }}"), StartsWith("line 2: there is no filter 'shout'"));
  EXPECT_THAT(error_of("\n\n{{ nobody.name }}"), StartsWith("line 3: 'nobody' is undefined"));
  EXPECT_THAT(error_of("{% for m in messages %}\n{{ m.content + 1 }}{% endfor %}"),
              StartsWith("line 2: unsupported operand types for +: 'str' and 'int'"));
  EXPECT_THAT(error_of("{% block x %}{% endblock %}"),
              StartsWith("line 1: the tag 'block' is not supported"));
}

TEST(ChatTemplate, GivesTheTemplatesOwnMessageAndNothingElse) {
  const auto made =
      render("\n\n{% macro m() %}{{ raise_exception('Roles must take turns.') }}{% endmacro %}{{ m() }}");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(made.error().to_string(), "Roles must take turns.");
}

// What Python and jinja2 have and this interpreter leaves out must not become an empty text.
TEST(ChatTemplate, SaysWhatItLeavesOut) {
  for (const char* left_out : {"{{ 'a'.encode() }}",
                               "{{ 'a'.translate({}) }}",
                               "{{ (5).bit_length() }}",
                               "{{ 'a b'|wordcount }}",
                               "{{ messages|groupby('role') }}",
                               "{{ cycler(1, 2).next() }}",
                               "{{ lipsum() }}",
                               "{{ {}.fromkeys([1]) }}",
                               "{{ messages|map('upper') }}",
                               "{{ range }}",
                               "{% for m in messages %}{{ loop }}{% endfor %}",
                               "{{ 2 ** 64 }}",
                               "{{ 99999999999999999999 }}",
                               "{{ 'ŉ'|upper }}",
                               "{{ (-8) ** 0.5 }}",
                               "{{ ('<b>'|safe).split('b') }}",
                               "{% for m in messages recursive %}{% endfor %}",
                               "{{ '٣'|int }}",
                               "{{ '{0[a]}'.format({'a': 1}) }}",
                               "{{ range(9)[1:] }}"}) {
    SCOPED_TRACE(left_out);
    const auto made = render(left_out);
    ASSERT_FALSE(made.ok()) << *made;
    EXPECT_THAT(made.error().code, testing::AnyOf(ErrorCode::unsupported, ErrorCode::bad_format));
    EXPECT_THAT(made.error().to_string(), HasSubstr("line 1"));
  }
}

TEST(ChatTemplate, EndsEveryEndlessTemplate) {
  const std::string many = "{% for i in range(100000) %}";
  EXPECT_THAT(error_of(many + many + "{% endfor %}{% endfor %}"), HasSubstr("loops more than 1000000 times"));
  EXPECT_THAT(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
              HasSubstr("nests deeper than 400"));
  EXPECT_THAT(error_of("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}"),
              HasSubstr("nests deeper"));
  EXPECT_THAT(
      error_of("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}"),
      HasSubstr("the template"));
  EXPECT_THAT(error_of(many + "{{ 'x' * 1000 }}{% endfor %}"), HasSubstr("16 MB"));
  EXPECT_THAT(error_of("{{ 'x' * 99999999 }}"), HasSubstr("16 MB"));
  EXPECT_THAT(error_of("{{ ['x' * 9999999] * 9999999 }}"), HasSubstr("16 MB"));
  EXPECT_THAT(error_of("{% set ns = namespace(x='x') %}" + many + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}"),
              HasSubstr("16 MB"));
  EXPECT_THAT(error_of("{% set x = 'x' * 9999999 %}" + many + "{% set y = x|upper %}{% endfor %}"),
              HasSubstr("handles more than"));
  EXPECT_THAT(error_of("{% set x = 'x' * 9999999 %}" + many + "{% if 'y' in x %}{% endif %}{% endfor %}"),
              HasSubstr("handles more than"));
  EXPECT_THAT(error_of("{{ '%999999999d' % 1 }}"), HasSubstr("width"));
  EXPECT_THAT(error_of("{{ 'x'|indent(999999999) }}"), HasSubstr("indentation"));
  EXPECT_THAT(error_of("{{ 'x'.center(999999999) }}"), HasSubstr("width"));
  EXPECT_THAT(error_of("{{ strftime_now('%9999999d') }}"), HasSubstr("not supported"));
}

TEST(ChatTemplate, RefusesDeepNestingBeforeTheStackEnds) {
  const auto repeated = [](const std::string& part, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += part;
    return out;
  };
  const int times = 50'000;
  const auto around = [&](const std::string& open, const std::string& close) {
    return "{{ " + repeated(open, times) + "1" + repeated(close, times) + " }}";
  };
  for (const std::string& deep :
       {around("(", ")"), around("[", "]"), around("{1:", "}"), around("x(", ")"), around("x[", "]"),
        around("-", ""), around("not ", ""), around("", " + 1"), around("", "|abs"), around("x", ".x"),
        around("", " if 1 else 1"), around("", " and 1"), repeated("{% if 1 %}", times),
        repeated("{% for i in x %}", times),
        "{% set " + repeated("(", times) + repeated(")", times) + " %}"}) {
    SCOPED_TRACE(deep.substr(0, 40));
    EXPECT_THAT(error_of(deep), testing::AnyOf(HasSubstr("deeper than"), HasSubstr("fewer brackets")));
  }
  EXPECT_THAT(
      error_of("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}"),
      HasSubstr("nested deeper than 64"));
  EXPECT_THAT(error_of("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = "
                       "ns.x|map('upper') %}{% endfor %}"),
              HasSubstr("nested deeper than 64"));
  EXPECT_EQ(error_of("{{ " + repeated("1 ~ ", times) + "1 }}").size(),
            210u);  // flat: no limit but the text's
}

// Values that hold each other would never be given back, or be given back in one long chain.
TEST(ChatTemplate, LetsNamespacesAndMacrosHoldEachOther) {
  EXPECT_EQ(
      *render(
          "{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = [b] %}{{ a.b[0].a.b|length }}"),
      "1");
  EXPECT_EQ(
      *render(
          "{% set ns = namespace(m=none) %}{% for i in range(9000) %}{% macro m(x) %}{% macro n() %}{{ x }}"
          "{% endmacro %}{% set ns.m = n %}{% endmacro %}{{ m(ns.m) }}{% endfor %}{{ ns.m is callable }}"),
      "True");
  EXPECT_THAT(error_of("{% set ns = namespace() %}{% for i in [1] %}{% set ns.loop = [loop] %}{% endfor %}"),
              HasSubstr("storing the 'LoopContext'"));
}

TEST(ChatTemplate, RefusesTextThatIsNoUtf8) {
  EXPECT_THAT(error_of("\xff"), HasSubstr("the chat template is not valid UTF-8 at byte 0"));
  const std::vector<ChatMessage> messages = {{"user", "fine"}, {"user", "a\xc3"}};
  const auto made = render("{{ messages }}", messages, {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().message, "message 1 is not valid UTF-8 at byte 1");
}

TEST(ChatTemplate, FormatsTheGivenDateAndRefusesOneThatIsNone) {
  ChatOptions options;
  options.date = "2024-02-29";
  EXPECT_EQ(*render("{{ strftime_now('%d.%m.%Y %H:%M') }}", {}, options), "29.02.2024 00:00");
  for (const char* date : {"2023-02-29", "yesterday!", "2024-13-01", "2024-1-1", "2024-01-01 25:00:00", ""}) {
    options.date = date;
    EXPECT_FALSE(render("{{ strftime_now('%Y') }}", {}, options).ok()) << date;
  }
  const auto today = render("{{ strftime_now('%Y-%m-%d') }}", {}, {});
  ASSERT_TRUE(today.ok());
  EXPECT_TRUE(std::regex_match(*today, std::regex("20[0-9]{2}-[0-9]{2}-[0-9]{2}"))) << *today;
}

TEST(ChatTemplate, LeavesTokensThatAreNotGivenUndefined) {
  EXPECT_EQ(*render("[{{ bos_token }}{{ eos_token is defined }}]", {}, {}), "[False]");
}

// Half of every style, and every style with one character gone: an error or a text, never a crash.
TEST(ChatTemplate, SurvivesBrokenTemplates) {
  const auto messages = conversation("turns");
  for (const json& style : expected()["styles"]) {
    const std::string text = style["template"];
    for (size_t at = 0; at < text.size(); at += 3) {
      for (const std::string& broken :
           {text.substr(0, at), text.substr(at), text.substr(0, at) + text.substr(at + 1)}) {
        const auto made = render(broken, messages, recorded_options());
        EXPECT_TRUE(made.ok() || made.error().code != ErrorCode::internal);
      }
    }
  }
}

class ChatFiles : public testing::Test {
 protected:
  std::optional<ChatTemplate> open_or_fail() {
    auto opened = open_chat_template(folder_.path());
    if (opened.ok()) return std::move(*opened);
    ADD_FAILURE() << opened.error().to_string();
    return std::nullopt;
  }
  std::string open_error() {
    const auto opened = open_chat_template(folder_.path());
    return opened.ok() ? "opened" : opened.error().to_string();
  }
  TemporaryFolder folder_;
};

TEST_F(ChatFiles, FindsNothingWhereThereIsNone) {
  EXPECT_FALSE(open_or_fail().has_value());
  folder_.write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_FALSE(open_or_fail().has_value());
  folder_.write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_FALSE(open_or_fail().has_value());
}

TEST_F(ChatFiles, ReadsTheTokenizersConfigWithItsTokens) {
  folder_.write("tokenizer_config.json",
                R"({"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}",
                    "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>"})");
  folder_.write("special_tokens_map.json",
                R"({"eos_token": "<not this>", "pad_token": {"content": "<pad>"}})");
  const auto opened = open_or_fail();
  ASSERT_TRUE(opened.has_value());
  const std::vector<ChatMessage> messages = {{"user", "hi"}};
  EXPECT_EQ(*opened->render(messages), "<s>hi</s><pad>");
  ChatOptions options;
  options.special_tokens["bos_token"] = "<B>";
  EXPECT_EQ(*opened->render(messages, options), "<B>hi</s><pad>");
}

TEST_F(ChatFiles, TakesTheDefaultOfSeveralTemplates) {
  folder_.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "no"},
                                             {"name": "default", "template": "yes"}]})");
  EXPECT_EQ(*open_or_fail()->render({}), "yes");
  folder_.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "no"}]})");
  EXPECT_THAT(open_error(), AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("called \"default\"")));
}

TEST_F(ChatFiles, PrefersTheFileOfItsOwn) {
  folder_.write("chat_template.json", R"({"chat_template": "third"})");
  EXPECT_EQ(*open_or_fail()->render({}), "third");
  folder_.write("tokenizer_config.json", R"({"chat_template": "second", "bos_token": "<s>"})");
  EXPECT_EQ(*open_or_fail()->render({}), "second");
  folder_.write("chat_template.jinja", "first {{ bos_token }}\n");
  EXPECT_EQ(*open_or_fail()->render({}), "first <s>");
}

TEST_F(ChatFiles, NamesTheFileThatIsWrong) {
  folder_.write("chat_template.jinja", "\n{{ x");
  EXPECT_THAT(open_error(), AllOf(HasSubstr("chat_template.jinja: "), HasSubstr("line 2: expected }}")));
  folder_.write("chat_template.jinja", "fine");
  folder_.write("special_tokens_map.json", R"({"bos_token": 5})");
  EXPECT_THAT(open_error(),
              AllOf(HasSubstr("special_tokens_map.json"), HasSubstr("bos_token: expected text, found 5")));
  folder_.write("special_tokens_map.json", "{");
  EXPECT_THAT(open_error(), HasSubstr("not valid JSON"));
  folder_.write("special_tokens_map.json", "{}");
  folder_.write("chat_template.jinja", std::string(2 << 20, 'x'));
  EXPECT_THAT(open_error(), HasSubstr("chat_template.jinja"));
}

}  // namespace
}  // namespace saccade
