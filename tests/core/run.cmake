saccade_test(core_run_tests
  SOURCES run/ablation_example_test.cpp run/batch_test.cpp run/golden_test.cpp run/head_step_test.cpp run/linear_algebra_test.cpp run/map_edit_test.cpp run/runner_test.cpp
  LIBS saccade_core fmt::fmt)
saccade_test(core_device_test SOURCES run/device_test.cpp LIBS saccade_core fmt::fmt)
saccade_test(core_head_gates_test SOURCES run/head_gates_test.cpp LIBS saccade_core)
saccade_test(core_gradient_test SOURCES run/gradient_test.cpp run/pooling_gradient_test.cpp LIBS saccade_core fmt::fmt)
saccade_test(core_vision_tests
  SOURCES run/vision_golden_test.cpp run/vision_run_test.cpp run/qwen_vl_test.cpp
          run/axis_positions_test.cpp run/patch_windows_test.cpp
          run/contrast_test.cpp run/region_edits_test.cpp
  SOURCES run/vision_golden_test.cpp run/vision_run_test.cpp
          run/contrast_test.cpp run/region_edits_test.cpp run/position_layout_test.cpp
  LIBS saccade_core fmt::fmt)
saccade_test(core_order_free_test SOURCES run/order_free_test.cpp LIBS saccade_core fmt::fmt)
