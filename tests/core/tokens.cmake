saccade_test(core_tokens_test
  SOURCES
    tokens/golden_test.cpp
  LIBS saccade_core nlohmann_json::nlohmann_json)
