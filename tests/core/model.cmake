saccade_test(core_model_tests
  SOURCES model/checkpoint_test.cpp model/files_test.cpp
  LIBS saccade_core)
