// Light, dark, or what the system says.
#pragma once

#include <QString>

namespace saccade {

enum class Theme { system, light, dark };
void apply_theme(Theme theme);

}  // namespace saccade
