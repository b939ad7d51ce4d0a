"""What traders call a feature whose doc is a formula."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TRADERS_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "simple return over # sessions": "return of {0} sessions",
        "log return of the last # sessions minus that of the # before": (
            "return of the last {0} sessions minus that of the {1} before"
        ),
        "annual mean return over annual volatility, # sessions, no riskless rate": (
            "Sharpe ratio of {0} sessions"
        ),
        "return over # sessions in deviations of such a return": (
            "return of {0} sessions over its volatility"
        ),
        "minus the return over # sessions, in deviations from # sessions": (
            "fall of the last {0} sessions over its volatility"
        ),
        "share of # sessions with a rise": "share of rising days over {0} sessions",
        "sign of the return times, # sessions": (
            "concentration of the trend in few moves over {0} sessions"
        ),
        "largest return of one session in #": "largest daily return of {0} sessions",
        "smallest return of one session in #": "smallest daily return of {0} sessions",
        "share of the last # sessions in the absolute movement of #": (
            "weight of the last {0} sessions in the moves of {1} sessions"
        ),
        "close over its exponential mean of span #": (
            "close against its exponential mean of {0} sessions"
        ),
        "exponential mean of span # over that of span #": (
            "exponential mean of {0} sessions against that of {1} sessions"
        ),
        "mean of # sessions over that of #": (
            "mean close of {0} sessions against that of {1} sessions"
        ),
        "share of the means of #, #, #, # and # sessions that the close is above": (
            "share of its means of {0} to {4} sessions that the close is above"
        ),
        "exponential mean of span # minus that of span #, over the close": "MACD line",
        "exponential mean of span # of the MACD line, over the close": "MACD signal line",
        "MACD line minus its signal, over the close": "MACD histogram",
        "slope of the line through the log closes of # sessions, per session": (
            "slope of the trend of {0} sessions"
        ),
        "share of the variance of # log closes that the line explains": (
            "straightness of the trend of {0} sessions"
        ),
        "average directional index of # sessions": "strength of the trend (ADX) of {0} sessions",
        "plus minus minus directional indicator of # sessions": (
            "direction of the trend (+DI minus -DI) of {0} sessions"
        ),
        "recency of the high minus recency of the low of # sessions": (
            "Aroon oscillator of {0} sessions"
        ),
        "relative strength index of # sessions, Wilder's smoothing": "RSI of {0} sessions",
        "change of the relative strength index over # sessions": (
            "change of the RSI over {0} sessions"
        ),
        "centred RSI, sign turned below the mean of # sessions": (
            "RSI in the direction of the trend of {0} sessions"
        ),
        "place of the close in the range of # sessions, mean of #": "stochastic %K of {0} sessions",
        "mean of # sessions of the slow stochastic": "slow stochastic %D",
        "distance of the close from the top of the range of # sessions": (
            "Williams %R of {0} sessions"
        ),
        "width of the bands of two deviations around the mean of # sessions, over it": (
            "width of the Bollinger bands of {0} sessions"
        ),
        "place of the close between the bands of # sessions": (
            "place of the close between the Bollinger bands of {0} sessions"
        ),
        "close minus its mean of # sessions, in deviations": (
            "z-score of the close over {0} sessions"
        ),
        "annual deviation of daily returns, # sessions": "volatility of {0} sessions",
        "annual root mean square of the falls, rises as #, # sessions": (
            "downside volatility of {1} sessions"
        ),
        "deviation over mean, in # sessions, of the volatility of # sessions": (
            "unsteadiness over {0} sessions of the volatility of {1} sessions"
        ),
        "last return in deviations of the # sessions before it": (
            "last daily return over the volatility of {0} sessions"
        ),
        "variance of #-session over # times that of daily log returns, # sessions": (
            "variance ratio of {0}-session returns over {2} sessions"
        ),
        "correlation of a return with the one before, # sessions": (
            "autocorrelation of daily returns over {0} sessions"
        ),
        "correlation of an absolute return with the one before, # sessions": (
            "clustering of large moves over {0} sessions"
        ),
        "largest fall from a close to a later one inside # sessions": (
            "worst peak-to-trough return of {0} sessions"
        ),
        "current drawdown over annual volatility, # sessions": (
            "close against the highest of {0} sessions over its volatility"
        ),
        "root mean square, over # sessions, of the drawdown from the top of #": (
            "ulcer index of {0} sessions"
        ),
        "sessions since the highest close of #, over #": (
            "time since the highest close of {0} sessions"
        ),
        "sessions since the lowest close of #, over #": (
            "time since the lowest close of {0} sessions"
        ),
        "average true range of # sessions, Wilder's smoothing, over the close": (
            "average true range of {0} sessions"
        ),
        "high minus low over the close": "range of the day",
        "mean of high minus low over the close, # sessions": "mean daily range of {0} sessions",
        "true range over its mean of # sessions": (
            "range of the day against its mean of {0} sessions"
        ),
        "mean place of the close in the day's range, at least # of # sessions": (
            "mean place of the close in the day's range over {1} sessions"
        ),
        "open over the last close": "overnight return",
        "close over the open": "intraday return",
        "sum of the log returns from close to open, # sessions": "overnight return of {0} sessions",
        "sum of the log returns from open to close, # sessions": "intraday return of {0} sessions",
        "annual volatility from high and low, # sessions": "Parkinson volatility of {0} sessions",
        "annual volatility from the whole bar, # sessions": (
            "Garman-Klass volatility of {0} sessions"
        ),
        "volatility inside the bars over that of the closes, # sessions": (
            "intraday volatility against that of the closes over {0} sessions"
        ),
        "deviation of the volume over its mean, # sessions": (
            "variation of the volume over {0} sessions"
        ),
        "correlation of volume and absolute return, # sessions": (
            "correlation of volume and size of the moves over {0} sessions"
        ),
        "slope of the on-balance volume over the mean volume, # sessions": (
            "slope of the on-balance volume of {0} sessions"
        ),
        "share of rising sessions in the money flow of #": "money flow index of {0} sessions",
        "volume weighted by the close's place in the day's range, # sessions": (
            "Chaikin money flow of {0} sessions"
        ),
        "share of the volume of # sessions traded on rises": (
            "share of the volume on rising days over {0} sessions"
        ),
        "mean price move per traded value of # sessions over its median of #": (
            "illiquidity (Amihud) of {0} sessions against its median of {1} sessions"
        ),
        "slope of the return on the market's, # sessions": "beta of {0} sessions",
        "correlation of the return with the market's, # sessions": (
            "correlation with the market over {0} sessions"
        ),
        "annual deviation of the return that beta leaves, # sessions": (
            "volatility apart from the market over {0} sessions"
        ),
        "return beyond beta times the market's, in its deviations, # sessions": (
            "return apart from the market over {0} sessions"
        ),
        "log return minus the market's, # sessions": "return minus the market's over {0} sessions",
        "annual mean return on sessions that began with the market above its mean of #, of #": (
            "mean return in rising markets over {1} sessions"
        ),
        "annual deviation of returns on sessions that began with the market above its mean of #, "
        "of #": "volatility in rising markets over {1} sessions",
        "annual mean return on sessions that began with the market below its mean of #, of #": (
            "mean return in falling markets over {1} sessions"
        ),
        "annual deviation of returns on sessions that began with the market below its mean of #, "
        "of #": "volatility in falling markets over {1} sessions",
        "annual mean return with the market above minus below its mean of # sessions": (
            "mean return in rising minus falling markets"
        ),
        "the market's return over # sessions": "market return of {0} sessions",
        "annual deviation of the market's daily returns, # sessions": (
            "market volatility of {0} sessions"
        ),
        "the market over its mean of # sessions": "market against its mean of {0} sessions",
        "the market over its top of # sessions": "market against its highest of {0} sessions",
        "sine of the month as an angle": "month",
        "cosine of the month as an angle": "month",
        "# Monday to # Friday": "day of the week",
        "# in the last # and the first # calendar days of a month, else #": "turn of the month",
        "calendar days to the end of the quarter, over #": "end of the quarter",
    }
)
"""By the doc without its units and with each number as #; the numbers go into the braces."""
