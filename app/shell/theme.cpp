#include "app/shell/theme.h"

#include <QApplication>
#include <QPalette>
#include <QStyle>
#include <QStyleFactory>

namespace saccade {
namespace {

QPalette palette_of(bool dark) {
  const QColor window = dark ? QColor(38, 40, 44) : QColor(243, 244, 246);
  const QColor base = dark ? QColor(28, 30, 33) : QColor(255, 255, 255);
  const QColor text = dark ? QColor(226, 228, 232) : QColor(28, 30, 34);
  QPalette palette(window);
  palette.setColor(QPalette::Window, window);
  palette.setColor(QPalette::Base, base);
  palette.setColor(QPalette::AlternateBase, dark ? QColor(46, 48, 53) : QColor(233, 235, 239));
  palette.setColor(QPalette::Button, dark ? QColor(54, 57, 62) : QColor(236, 238, 241));
  palette.setColor(QPalette::ToolTipBase, base);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::ToolTipText})
    palette.setColor(role, text);
  palette.setColor(QPalette::PlaceholderText, QColor(text.red(), text.green(), text.blue(), 140));
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
    palette.setColor(QPalette::Disabled, role, QColor(text.red(), text.green(), text.blue(), 130));
  palette.setColor(QPalette::Highlight, QColor(38, 110, 214));
  palette.setColor(QPalette::HighlightedText, Qt::white);
  palette.setColor(QPalette::Mid, dark ? QColor(90, 94, 100) : QColor(170, 174, 180));
  return palette;
}

}  // namespace

void apply_theme(Theme theme) {
  QApplication::setStyle(QStyleFactory::create("Fusion"));
  const QPalette system = QApplication::style()->standardPalette();
  const bool dark =
      theme == Theme::dark || (theme == Theme::system && system.color(QPalette::Window).lightness() < 128);
  QApplication::setPalette(palette_of(dark));
}

}  // namespace saccade
