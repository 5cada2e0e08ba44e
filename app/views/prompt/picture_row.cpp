#include "app/views/prompt/picture_row.h"

#include <QLabel>
#include <QScrollArea>
#include <QStyle>
#include <QVBoxLayout>
#include <algorithm>

#include "app/views/picture/picture_canvas.h"

namespace saccade {
namespace {

constexpr int side = 64, card_width = 104;

QPixmap thumbnail_of(const Picture& picture, double ratio) {
  QPixmap pixmap =
      QPixmap::fromImage(image_of(picture).scaled(QSizeF((card_width - 4) * ratio, side * ratio).toSize(),
                                                  Qt::KeepAspectRatio, Qt::SmoothTransformation));
  pixmap.setDevicePixelRatio(ratio);
  return pixmap;
}

}  // namespace

PictureRow::PictureRow(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setObjectName("picture_row");
  setAccessibleName(tr("Pictures of the request"));
  auto* inside = new QWidget(this);
  cards_ = new QHBoxLayout(inside);
  cards_->setContentsMargins(0, 0, 0, 0);
  cards_->setSpacing(6);
  add_ = new QToolButton(inside);
  add_->setObjectName("picture_add");
  add_->setText(tr("+ picture…"));
  add_->setToolTip(tr("Add a picture to the request; dropping and pasting do it, too"));
  add_->setAccessibleName(tr("Add a picture"));
  cards_->addWidget(add_, 0, Qt::AlignVCenter);
  cards_->addStretch(1);
  auto* scroll = new QScrollArea(this);
  scroll->setWidget(inside);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  // A card, its name below, and the bar that scrolls them.
  scroll->setFixedHeight(side + 2 + std::max(18, fontMetrics().height()) +
                         style()->pixelMetric(QStyle::PM_ScrollBarExtent) + 4);
  setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(scroll);
  connect(add_, &QToolButton::clicked, this, &PictureRow::open_asked);
  hide();
}

QWidget* PictureRow::card_of(int index) {
  const GivenPicture& given = workbench_.pictures()[static_cast<size_t>(index)];
  const QString name = QString::fromStdString(given.pixels->name);
  auto* card = new QWidget(this);
  card->setObjectName(QStringLiteral("picture_card-%1").arg(index));
  card->setToolTip(
      tr("%1\n%2 × %3 pixels").arg(given.path).arg(given.pixels->width).arg(given.pixels->height));
  auto* image = new QLabel(card);
  image->setPixmap(thumbnail_of(*given.pixels, devicePixelRatioF()));
  image->setAlignment(Qt::AlignCenter);
  image->setFixedSize(card_width - 2, side);
  image->setAccessibleName(name);
  auto* label = new QLabel(card);
  label->setText(label->fontMetrics().elidedText(name, Qt::ElideMiddle, card_width - 24));
  auto* remove = new QToolButton(card);
  remove->setObjectName(QStringLiteral("picture_remove-%1").arg(index));
  remove->setText(QStringLiteral("×"));
  remove->setAutoRaise(true);
  remove->setFixedSize(18, 18);
  remove->setToolTip(tr("Take %1 out of the request").arg(name));
  remove->setAccessibleName(remove->toolTip());
  connect(remove, &QToolButton::clicked, this, [this, index] { workbench_.remove_picture(index); });
  auto* below = new QHBoxLayout;
  below->setContentsMargins(0, 0, 0, 0);
  below->setSpacing(0);
  below->addWidget(label, 1);
  below->addWidget(remove);
  auto* layout = new QVBoxLayout(card);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(2);
  layout->addWidget(image);
  layout->addLayout(below);
  card->setFixedWidth(card_width);
  return card;
}

void PictureRow::refresh() {
  setVisible(workbench_.takes_pictures());
  std::vector<std::shared_ptr<const Picture>> now;
  for (const GivenPicture& given : workbench_.pictures()) now.push_back(given.pixels);
  if (now == shown_) return;
  shown_ = std::move(now);
  while (cards_->count() > 2) {
    QWidget* card = cards_->takeAt(0)->widget();
    card->hide();
    card->deleteLater();
  }
  for (int i = 0; i < static_cast<int>(shown_.size()); ++i)
    cards_->insertWidget(i, card_of(i), 0, Qt::AlignTop);
}

}  // namespace saccade
