saccade_test(core_tokens_test
  SOURCES
    tokens/bpe_test.cpp
    tokens/golden_test.cpp
    tokens/regex_test.cpp
    tokens/stages_test.cpp
    tokens/tokenizer_files_test.cpp
    tokens/tokenizer_test.cpp
    tokens/unicode_test.cpp
  LIBS saccade_core nlohmann_json::nlohmann_json)
saccade_test(core_chat_template_test
  SOURCES
    tokens/chat_template_test.cpp
  LIBS saccade_core nlohmann_json::nlohmann_json)
