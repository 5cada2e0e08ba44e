saccade_test(core_tokens_test
  SOURCES
    tokens/bpe_test.cpp
    tokens/clip_test.cpp
    tokens/golden_test.cpp
    tokens/regex_test.cpp
    tokens/sentencepiece_model_test.cpp
    tokens/stages_test.cpp
    tokens/tiktoken_test.cpp
    tokens/token_table_test.cpp
    tokens/tokenizer_files_test.cpp
    tokens/tokenizer_test.cpp
    tokens/unicode_test.cpp
  LIBS saccade_core nlohmann_json::nlohmann_json ZLIB::ZLIB)
saccade_test(core_chat_template_test
  SOURCES
    tokens/chat_template_test.cpp
  LIBS saccade_core nlohmann_json::nlohmann_json)
