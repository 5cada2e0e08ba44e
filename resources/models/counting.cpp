#include "resources/models/counting.h"

namespace saccade {
namespace {

constexpr ShapeSizes counted_sizes{0.085, 0.13, 1.4};

}  // namespace

int32_t count_class(int32_t kind, int32_t count) { return kind * most_counted + count - 1; }

std::string count_label(int32_t count_class) {
  const int32_t kind = count_class / most_counted, count = count_class % most_counted + 1;
  const int32_t form = kind % n_shape_form;
  return std::to_string(count) + " " + colour_name(kind / n_shape_form) + " " +
         (count == 1 ? form_name(form) : form_plural(form));
}

CountedScene draw_counted(Random& random) {
  CountedScene drawn;
  drawn.kind = random.below(n_shape_kind);
  drawn.count = random.between(1, most_counted);
  std::vector<ShapeWish> wishes(static_cast<size_t>(drawn.count),
                                {drawn.kind / n_shape_form, drawn.kind % n_shape_form});
  const int32_t grey = random.between(0, most_grey);
  for (int32_t i = 0; i < grey; ++i) wishes.push_back({grey_colour, random.below(n_shape_form)});
  drawn.scene = place_shapes(wishes, counted_sizes, random);
  return drawn;
}

}  // namespace saccade
