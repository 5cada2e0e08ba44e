saccade_test(core_run_tests
  SOURCES run/golden_test.cpp run/runner_test.cpp
  LIBS saccade_core fmt::fmt)
