# Shared target settings, and the one place where system packages are found.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenMP REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
find_library(SACCADE_STEMMER NAMES stemmer REQUIRED)
pkg_check_modules(PANGOCAIRO REQUIRED IMPORTED_TARGET pangocairo)
find_package(OpenCV REQUIRED COMPONENTS core imgproc imgcodecs videoio)
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C HL)

# LibTorch's own CMake package pushes global flags; keep them on one interface target instead.
function(saccade_find_torch)
  find_package(Torch REQUIRED)
  add_library(saccade_torch INTERFACE)
  target_link_libraries(saccade_torch INTERFACE ${TORCH_LIBRARIES})
  target_include_directories(saccade_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  separate_arguments(torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
  target_compile_options(saccade_torch INTERFACE ${torch_flags})
endfunction()
saccade_find_torch()

# The OpenBLAS whose threads are OpenMP's, loaded before LibTorch asks for whichever is the system's choice: LibTorch and
# our kernels use OpenMP too, and two pools of threads on the same cores wait for each other.
find_library(SACCADE_OPENBLAS NAMES libopenblas.so.0 NO_DEFAULT_PATH
             PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp)
if(SACCADE_OPENBLAS)
  target_link_libraries(saccade_torch INTERFACE -Wl,--push-state,--no-as-needed ${SACCADE_OPENBLAS} -Wl,--pop-state)
endif()

add_library(saccade_flags INTERFACE)
target_compile_options(saccade_flags INTERFACE -Wall -Wextra $<$<BOOL:${SACCADE_WERROR}>:-Werror>)
# GCC 12 sees overlapping copies in std::string where there are none (its bug 105651).
target_compile_options(saccade_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(saccade_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(SACCADE_SANITIZE)
  target_compile_options(saccade_flags INTERFACE -fsanitize=${SACCADE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(saccade_flags INTERFACE -fsanitize=${SACCADE_SANITIZE})
endif()

# saccade_test(NAME SOURCES... LIBS... [ONE_THREAD]): one GoogleTest program, one ctest entry. Programs that run models use
# every processor, so nothing is run beside them unless they say ONE_THREAD.
cmake_host_system_information(RESULT SACCADE_PROCESSORS QUERY NUMBER_OF_LOGICAL_CORES)
function(saccade_test name)
  cmake_parse_arguments(T "ONE_THREAD" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_LIBS} saccade_flags GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)  # a fifth of the time to compile them
  target_compile_definitions(${name} PRIVATE
    SACCADE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SACCADE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT T_ONE_THREAD)
    set_tests_properties(${name} PROPERTIES PROCESSORS ${SACCADE_PROCESSORS})
  endif()
endfunction()
