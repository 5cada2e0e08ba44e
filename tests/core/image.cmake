saccade_test(core_image_tests
  SOURCES image/image_processor_test.cpp image/placed_image_test.cpp image/resample_test.cpp
          image/smart_resize_test.cpp
  LIBS saccade_core)
