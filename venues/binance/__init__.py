"""Binance USD-M futures: trades, touch and candles over websocket and REST."""
