#include "analysis/field_slice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/export/result_figures.h"

using namespace saccade;

namespace {

// [layer 2, head 2, key 3], numbers 0, 1, 2 ...
Field counted() {
  Field field{"mass", "Mass", "", ValueKind::magnitude, {}, HostTensor({2, 2, 3}), ""};
  field.axes = {
      {AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}, {AxisKind::key, "key", {"a", "b,", "c"}}};
  std::iota(field.values.mutable_values().begin(), field.values.mutable_values().end(), 0.0f);
  return field;
}

}  // namespace

TEST(FieldSlice, HoldsAllButTheLastTwoAxes) {
  const Field field = counted();
  ASSERT_EQ(held_axes(field), 1U);
  const std::vector<int64_t> held{1};
  const FieldSlice slice = slice_of(field, held);
  EXPECT_TRUE(slice.has_rows);
  EXPECT_EQ(slice.rows, 2);
  EXPECT_EQ(slice.columns, 3);
  EXPECT_EQ(slice.at(1, 2), 11.0f);
  EXPECT_EQ(slice.where, "layer 1");
  EXPECT_EQ(label_of(slice.column_axis, 2), "c");
  const std::vector<int64_t> beyond{9};
  EXPECT_EQ(slice_of(field, beyond).held, held) << "an index of another model's result is the last there is";
}

TEST(FieldSlice, OneAxisIsALineAndNoneIsANumber) {
  Field line{"x", "x", "", ValueKind::magnitude, {{AxisKind::token, "token", {}}}, HostTensor({4}), ""};
  EXPECT_FALSE(slice_of(line).has_rows);
  EXPECT_EQ(slice_of(line).columns, 4);
  Field empty{"x", "x", "", ValueKind::magnitude, {}, HostTensor({2, 0}), ""};
  EXPECT_TRUE(slice_of(empty).values.empty());
}

TEST(FieldSlice, SignedNumbersHaveNothingInTheMiddleOfTheScale) {
  const std::vector<float> values{-0.5f, 2.0f, std::numeric_limits<float>::quiet_NaN()};
  const ColourScale both = scale_of(ValueKind::signed_difference, values);
  EXPECT_EQ(both.palette, Palette::red_blue);
  EXPECT_EQ(both.low, -2.0);
  EXPECT_EQ(both.high, 2.0);
  EXPECT_DOUBLE_EQ(both.height(0.0), 0.5);
  const ColourScale share = scale_of(ValueKind::probability, values);
  EXPECT_EQ(share.low, 0.0);
  EXPECT_EQ(share.high, 1.0);
  const std::vector<float> sizes{3.0f, 7.0f};
  EXPECT_EQ(scale_of(ValueKind::magnitude, sizes).low, 0.0);
  EXPECT_EQ(scale_of(ValueKind::magnitude, sizes).high, 7.0);
}

TEST(FieldSlice, CsvNamesEveryNumbersPlace) {
  const std::string text = csv_of(counted());
  EXPECT_EQ(text.substr(0, text.find('\n')), "layer,head,key,key_label,mass");
  EXPECT_NE(text.find("\n1,0,1,\"b,\",7\n"), std::string::npos) << text;
  const Table table{"t", {"head", "a,b"}, {{"0.1", std::nan("")}, {"say \"x\"", int64_t{3}}}};
  EXPECT_EQ(csv_of(table), "head,\"a,b\"\n0.1,\n\"say \"\"x\"\"\",3\n");
}
