saccade_test(core_model_tests
  SOURCES
    base_test.cpp
    model/checkpoint_test.cpp
    model/family_test.cpp
    model/gguf_file_test.cpp
    model/model_test.cpp
    model/random_model_test.cpp
    model/safetensors_header_test.cpp
    model/torch_file_test.cpp
    model/visibility_test.cpp
  LIBS saccade_core nlohmann_json::nlohmann_json)
