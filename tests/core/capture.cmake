saccade_test(core_capture_test
  SOURCES
    capture/attention_map_test.cpp
    capture/dump_test.cpp
    capture/edited_dump_test.cpp
    capture/encoding_test.cpp
    capture/spec_json_test.cpp
    capture/vector_file_test.cpp
  LIBS saccade_core fmt::fmt)
saccade_test(core_session_test
  SOURCES
    session/engine_test.cpp
    session/sample_prompts_test.cpp
    session/session_test.cpp
  LIBS saccade_core)
saccade_test(core_edit_test
  SOURCES
    run/edit_plan_test.cpp
    run/edit_regions_test.cpp
    run/edit_test.cpp
    run/edit_values_test.cpp
    run/hook_site_test.cpp
    run/run_request_test.cpp
  LIBS saccade_core)
